"""Stretches of a baseline that people leave out or keep, as a stream file says so."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.service.streams_for_tests import HOUR, START, record, write_jsonl, write_stream
from tidegauge_probes.errors import BaselineError
from tidegauge_service.cli.main import app
from tidegauge_service.clock import to_iso
from tidegauge_service.store import baselines
from tidegauge_service.store.engine import Database

BASELINE, HOURS, EACH = 240, 242, 40
STORM = range(40, 50)
PROBES = {
    "classes": ["HAM", "SPAM"],
    "probes": [
        {"name": f"word{n}", "label": ["HAM", "SPAM"][n % 2], "keyword": {"any": [f"w{n}"]}}
        for n in range(7)
    ],
}


def stretch(first: int, until: int) -> dict[str, str]:
    return {"from": to_iso(START + first * HOUR), "until": to_iso(START + until * HOUR)}


def rows() -> list[dict[str, Any]]:
    """A record in four has a word; in ten hours of the baseline all have the first."""
    draw = random.Random(1)

    def text(hour: int) -> str:
        words = [f"w{word}" for word in range(7) if draw.random() < 0.25]
        return " ".join(["a", *words, *(["w0"] if hour in STORM else [])])

    return [
        record(hour * EACH + n, text(hour), ms=START + hour * HOUR + n * 80_000)
        for hour in range(HOURS)
        for n in range(EACH)
    ]


def shown(
    folder: Path, monkeypatch: pytest.MonkeyPatch, **by_hand: Any
) -> tuple[dict[str, Any], str, str]:
    """Return what a replayed baseline is, as JSON and as text, and the report."""
    write_jsonl(folder / "records.jsonl", rows())
    chosen = {**stretch(0, BASELINE), **by_hand}
    stream = str(write_stream(folder, PROBES, baseline=chosen, timezone="Asia/Kolkata"))
    url = f"sqlite:///{folder}/out.db"
    monkeypatch.setenv("TIDEGAUGE_DATABASE", url)
    report = folder / "report.html"
    replay = ["replay", stream, "--database", url, "--report", str(report)]
    runner = CliRunner()
    runner.invoke(app, replay, catch_exceptions=False)
    listed = runner.invoke(app, ["baseline", "list"], catch_exceptions=False).stdout
    [name] = [word for word in listed.replace("│", " ").split() if len(word) == 16][:1]
    show = ["baseline", "show", name]
    facts = json.loads(runner.invoke(app, [*show, "--json"], catch_exceptions=False).stdout)
    text = runner.invoke(app, show, catch_exceptions=False).stdout
    return facts, " ".join(text.split()), report.read_text()


def test_what_looks_like_an_incident_is_named_in_the_zone_of_the_stream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts, text, report = shown(tmp_path, monkeypatch)
    [found] = facts["left_out"]
    assert found == stretch(39, 51), "a window wider on both sides"
    assert "Not learned from, because it looks like an incident: 20" in text
    assert "+05:30 to " in text
    assert "Not learned from</dt>" in report
    assert facts["windows"] == BASELINE
    assert facts["wandering"] == []


def test_what_is_kept_is_learned_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts, text, report = shown(tmp_path, monkeypatch, keep=[stretch(38, 52)])
    assert facts["left_out"] == []
    assert "Not learned from" not in text + report
    first, until = stretch(38, 52).values()
    assert facts["source"]["keep"] == f"{first} to {until}"
    assert "keep:" in report, "with the settings"


def test_what_is_left_out_by_hand_is_in_no_baseline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts, _, _ = shown(tmp_path, monkeypatch, leave_out=[stretch(40, 50)])
    assert facts["windows"] == BASELINE - len(STORM)
    assert facts["records"] == (BASELINE - len(STORM)) * EACH
    assert facts["left_out"] == [], "nothing is left that looks like an incident"
    assert "leave_out" in facts["source"]


def test_a_baseline_that_is_left_out_as_a_whole_is_refused(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "records.jsonl", rows())
    chosen = {**stretch(0, BASELINE), "leave_out": [stretch(0, BASELINE)]}
    done = CliRunner().invoke(app, ["replay", str(write_stream(tmp_path, PROBES, baseline=chosen))])
    assert isinstance(done.exception, BaselineError)
    assert "baseline.leave_out covers all records of its range" in str(done.exception)


def test_a_baseline_that_grows_waits_for_48_windows_without_them(tmp_path: Path) -> None:
    calm = [row for row in rows() if row["timestamp"] < to_iso(START + 63 * HOUR)]
    write_jsonl(tmp_path / "records.jsonl", [row for row in calm if "w0" not in row["text"]])
    chosen = {**stretch(0, 20), "leave_out": [stretch(10, 13)]}
    stream = str(write_stream(tmp_path, PROBES, baseline=chosen))
    url = f"sqlite:///{tmp_path}/out.db"
    CliRunner().invoke(app, ["replay", stream, "--database", url], catch_exceptions=False)
    database = Database(url)
    try:
        with database.read() as connection:
            found = [baselines.load(connection, row.id) for row in baselines.listing(connection)]
    finally:
        database.close()
    assert sorted(len(one.starts) for one in found) == [17, 48]
    [grown] = [one for one in found if not one.learning]
    assert grown.source["until"] == to_iso(START + 61 * HOUR), "ten hours are empty"
