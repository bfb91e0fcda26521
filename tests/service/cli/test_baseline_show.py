"""``tidegauge baseline show`` and ``list`` are written for people."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.service.streams_for_tests import HOUR, START, record, write_jsonl, write_stream
from tidegauge_probes.errors import BaselineError
from tidegauge_service.cli.baseline.commands import plainly
from tidegauge_service.cli.main import app


def run(*arguments: str) -> str:
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TIDEGAUGE_DATABASE", f"sqlite:///{tmp_path}/t.db")
    write_jsonl(tmp_path / "r.jsonl", [record(n, "free", ms=START + n * HOUR) for n in range(60)])
    write_stream(tmp_path, calendar=["2026-11-11", "2026-12-24"])
    fit = ("baseline", "fit", "stream.yaml", "--name", "mine", "--records", "r.jsonl")
    run(*fit, "--balance", "HAM=0.75,SPAM=0.25")
    return tmp_path


@pytest.mark.usefixtures("folder")
def test_values_are_written_as_in_files_and_in_reading_order() -> None:
    said = run("baseline", "show", "mine")
    assert "  balance: HAM=0.75, SPAM=0.25\n" in said
    assert "  calendar: 2026-11-11, 2026-12-24\n" in said
    assert "  timezone: UTC\n" in said
    assert said.index("  path: r.jsonl") < said.index("  balance: ") < said.index("  timezone: ")


@pytest.mark.usefixtures("folder")
def test_an_unknown_baseline_says_what_was_meant_and_how_to_fit_one() -> None:
    with pytest.raises(BaselineError) as raised:
        run("baseline", "show", "mime")
    wanted = (
        "there is no baseline 'mime'; did you mean 'mine'? To fit one: `tidegauge baseline fit`"
    )
    assert str(raised.value) == wanted


def test_nothing_is_none_and_numbers_stay() -> None:
    values: list[object] = [None, (), {}, "", 0, False]
    assert [plainly(value) for value in values] == [
        "none", "none", "none", "none", "0", "False",
    ]  # fmt: skip
