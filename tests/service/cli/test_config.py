"""``config schema`` prints the schema of each file that has no command of its own for it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from tidegauge_service.cli.main import app
from tidegauge_service.config import settings, stream_file
from tidegauge_service.errors import SettingsError, exit_code_of


@pytest.mark.parametrize(
    ("arguments", "schema"),
    [
        ((), stream_file.schema),
        (("stream",), stream_file.schema),
        (("settings",), settings.schema),
    ],
)
def test_the_schema_is_that_of_the_reader(arguments: tuple[str, ...], schema: Any) -> None:
    printed = CliRunner().invoke(app, ["config", "schema", *arguments])
    assert json.loads(printed.stdout) == schema()


def test_a_probe_sets_schema_has_one_command() -> None:
    refused = CliRunner().invoke(app, ["config", "schema", "probes"]).exception
    assert isinstance(refused, SettingsError)
    assert exit_code_of(refused) == 2
    assert CliRunner().invoke(app, ["probes", "schema"]).exit_code == 0


def test_an_unknown_file_is_named_with_the_nearest_one() -> None:
    refused = CliRunner().invoke(app, ["config", "schema", "strem"]).exception
    assert str(refused) == "config schema: unknown value 'strem'; did you mean 'stream'?"
