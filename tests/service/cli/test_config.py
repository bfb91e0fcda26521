"""``config schema`` prints the schema of each file that has no command of its own for it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from tidegauge_service.cli.main import app
from tidegauge_service.config import settings, stream_file


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
    assert CliRunner().invoke(app, ["config", "schema", "probes"]).exit_code == 2
    assert CliRunner().invoke(app, ["probes", "schema"]).exit_code == 0
