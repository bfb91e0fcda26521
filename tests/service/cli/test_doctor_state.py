"""``tidegauge doctor`` says what is in use, and whether anything is running at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.service.streams_for_tests import (
    HOUR,
    PROBES,
    START,
    record,
    write_jsonl,
    write_stream,
)
from tests.service.transactions import write
from tidegauge_probes import load
from tidegauge_probes.errors import BaselineError
from tidegauge_service.cli.doctor import stream_state
from tidegauge_service.cli.main import app
from tidegauge_service.clock import now_ms, to_iso
from tidegauge_service.config.settings import Settings
from tidegauge_service.config.stream_file import load_stream
from tidegauge_service.store import registration, streams
from tidegauge_service.store.engine import Database

FEWER: dict[str, Any] = {"classes": PROBES["classes"], "probes": PROBES["probes"][:2]}
LOG = {"kind": "log"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TIDEGAUGE_DATABASE", f"sqlite:///{tmp_path}/t.db")
    return tmp_path


def doctor(check: str) -> str:
    """Return the line of one check of the stream."""
    said = CliRunner().invoke(app, ["doctor", "stream.yaml"]).output
    return next(line for line in said.splitlines() if f"stream.yaml: {check}:" in line)


def run(*arguments: str) -> None:
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output


def watch(folder: Path, *, blind_hours: int = 0) -> None:
    """Watch 60 hours of records to their end, the first of them without a text."""
    rows = [record(n, "free", ms=START + n * HOUR // 4) for n in range(240)]
    for row in rows[: 4 * blind_hours]:
        del row["text"]
    write_jsonl(folder / "records.jsonl", rows)
    write_stream(folder, baseline={"from": to_iso(START), "until": to_iso(START + 50 * HOUR)})
    run("run", "stream.yaml", "--drain")


def test_the_baseline_in_use_is_named(folder: Path) -> None:
    watch(folder)
    assert "the stream's own windows, 2020-09-13T12:00:00Z to" in doctor("baseline")
    assert "; in use: " in doctor("baseline")
    assert doctor("comparison").endswith("comparison: OK")


def test_lfs_and_a_baseline_that_are_not_live_are_said_not_to_be(folder: Path) -> None:
    watch(folder)
    before = (folder / "stream.yaml").read_text()
    mine = doctor("baseline").rpartition(" ")[2]
    (folder / "probes.yaml").rename(folder / "old.yaml")
    write_stream(folder, FEWER)
    run("baseline", "fit", "stream.yaml", "--name", "fewer", "--records", "records.jsonl")
    run("probes", "deploy", "stream.yaml", "--baseline", "fewer")
    live = load("probes.yaml", folder).id
    (folder / "stream.yaml").write_text(before.replace("probes.yaml", "old.yaml"))
    assert f"Warning: not live; ProbeSet {live} is. To make this one live" in doctor("LFs")
    said = doctor("baseline")
    assert f"Warning: not in use; the live ProbeSet {live} is compared with" in said
    assert mine not in said


def test_a_plan_of_lfs_that_are_not_live_does_not_say_that_the_range_lies_ahead(
    folder: Path,
) -> None:
    registered(folder)
    write_stream(folder, FEWER, source=LOG)
    done = CliRunner().invoke(app, ["plan", "stream.yaml"])
    assert isinstance(done.exception, BaselineError)
    said = str(done.exception)
    assert "of stream.yaml is not live and has no baseline" in said
    assert "To plan with that one: `tidegauge plan test`" in said


def test_an_lf_that_failed_in_the_range_is_named_though_windows_are_compared(folder: Path) -> None:
    watch(folder, blind_hours=50)
    said = doctor("comparison")
    assert "when the baseline was fitted, LFs failed: 'mentions_free' on 100 %" in said
    assert "`tidegauge baseline accept stream.yaml --from TIME`" in said
    assert "comparison: OK" not in said


# -- Whether anything runs --------------------------------------------------------------------


def registered(folder: Path) -> Database:
    config = load_stream(write_stream(folder, source=LOG))
    database = Database(f"sqlite:///{folder}/t.db")
    database.upgrade()
    write(database, registration.register, config, load(config.probes, folder), 0)
    return database


@pytest.mark.parametrize(
    ("ago_ms", "says"),
    [
        (None, "Warning: no process has read this stream yet. To start one: `tidegauge run"),
        (1_000, "OK"),
        (3 * HOUR + 1, "Warning: no process reads this stream: none has written for 3h. "),
    ],
)
def test_it_is_said_when_no_process_reads_the_stream(
    folder: Path, ago_ms: int | None, says: str
) -> None:
    database = registered(folder)
    if ago_ms is not None:
        write(database, streams.seed_partitions, 1, {0: 0}, now_ms() - ago_ms)
    database.close()
    settings = Settings.model_validate({"database": f"sqlite:///{folder}/t.db"})
    assert stream_state.watched(folder / "stream.yaml", settings).startswith(says)
    assert f"workers: {says}" in doctor("workers")
