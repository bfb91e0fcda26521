"""``tidegauge plan``: from the baseline of a database, of a file, or of the source."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
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
from tidegauge_probes.errors import BaselineError
from tidegauge_service.cli.main import app
from tidegauge_service.clock import to_iso
from tidegauge_service.errors import ServiceError, SettingsError

HOURS, EACH = 60, 40


@pytest.fixture(scope="module")
def records() -> list[dict[str, Any]]:
    """Give 60 hours of 40 records each, from two channels, one of them rare."""
    rng = np.random.default_rng(3)
    texts = np.where(rng.random(HOURS * EACH) < 0.2, "free pills today", "see you at the office")
    return [
        record(n, text, ms=START + n * HOUR // EACH, channel="fax" if n % 1_000 == 0 else "mail")
        for n, text in enumerate(texts.tolist())
    ]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, records: list[Any]) -> Path:
    write_jsonl(tmp_path / "records.jsonl", records)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TIDEGAUGE_DATABASE", f"sqlite:///{tmp_path}/t.db")
    return tmp_path


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def planned(*arguments: object) -> dict[str, Any]:
    """Return what `--json` prints: stdout alone, since log lines may stand on stderr."""
    chosen = ["plan", *map(str, arguments), "--json"]
    result = CliRunner().invoke(app, chosen, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def by_lf(found: Mapping[str, Any]) -> dict[str, Any]:
    return {one["probe"]: one for one in found["series"]}


def test_a_range_is_read_from_the_files_and_nothing_is_stored(folder: Path) -> None:
    stream = write_stream(folder)
    found = planned(stream)
    assert found["baseline"]["windows"] == HOURS
    assert found["baseline"]["from"] == to_iso(START)
    assert found["records_per_window"] == EACH
    free = by_lf(found)["mentions_free"]
    assert free["share"] == pytest.approx(0.2, abs=0.02)
    day = free["smallest_shifts"]["1d"]
    assert day["windows"] == 24
    assert day["down"]["ratio"] < 1 < day["up"]["ratio"]
    assert found["chance"] == 0.5
    assert found["false_incidents"]["budget"] == "1 per quarter"
    assert found["false_incidents"]["expected_per_month"] > 0
    assert "none yet" in str(refusal(SettingsError, "test")), "the stream was not created"


def test_the_tables_fit_into_80_columns_and_are_for_people(folder: Path) -> None:
    said = run("plan", write_stream(folder, segment_by=["channel"]))
    assert max(map(len, said.splitlines())) <= 80
    words = " ".join(said.split())
    assert "windows of 1h with about 40 records" in words
    assert "within 1 day" in words
    assert "by window 24" in words
    assert "channel=mail" in words
    assert "Too small to say anything: channel=fax" in words
    assert "The budget is 1 per quarter (0.33 a month)" in words


def test_a_mute_lf_is_named_with_the_reason(folder: Path) -> None:
    found = by_lf(planned(write_stream(folder)))["thanks"]
    assert found["share"] < 0.001
    assert found["no_fall"] == "few_votes"
    assert "No fall is ever found, not even to zero: thanks, short (too few votes" in " ".join(
        run("plan", folder / "stream.yaml").split()
    )


def test_a_slice_too_small_gets_advice_on_slices(folder: Path) -> None:
    fax = {"name": "faxed", "keyword": {"field": "channel", "any": ["fax"]}}
    said = " ".join(run("plan", write_stream(folder, {**PROBES, "slices": [fax]})).split())
    assert "Slices too small to say anything: faxed. Let these slicing functions" in said
    assert "segment_by" not in said


def test_segments_too_small_are_listed(folder: Path) -> None:
    found = planned(write_stream(folder, segment_by=["channel"]))
    [fax, mail] = found["segments"]
    assert (fax["segment"], fax["can_alarm"]) == ("channel=fax", 0)
    assert mail["can_alarm"] > 0
    assert found["suggested"]["segments_too_small"] == ["channel=fax"]


def test_shorter_windows_are_compared_where_the_files_are_read(folder: Path) -> None:
    found = planned(
        write_stream(
            folder,
            window="12h",
            baseline={"from": to_iso(START // (12 * HOUR) * 12 * HOUR), "until": "2020-09-16"},
        )
    )
    assert [one["window"] for one in found["window_lengths"]["lengths"]] == [
        "1h", "3h", "6h", "12h", "1d", "7d",
    ]  # fmt: skip
    assert found["window"] == "12h"
    assert found["suggested"]["window"] in {"1h", None}
    assert found["baseline"]["learning"]


def test_too_short_a_baseline_says_so_and_has_no_forecast(folder: Path) -> None:
    until = to_iso(START + 20 * HOUR)
    stream = write_stream(folder, baseline={"from": to_iso(START), "until": until})
    found = planned(stream)
    assert found["baseline"]["learning"]
    assert found["false_incidents"]["expected_per_month"] is None
    words = " ".join(run("plan", stream).split())
    assert "The baseline is too short (48 windows are needed" in words
    assert "no forecast" in words


def test_the_baseline_of_the_database_is_used_by_file_and_by_name(folder: Path) -> None:
    stream = write_stream(folder)
    later = [record(n, "free", ms=START + 60 * HOUR + n * HOUR) for n in range(5)]
    write_jsonl(
        folder / "records.jsonl", [*read(folder), *({**r, "id": "x" + r["id"]} for r in later)]
    )
    run("run", stream, "--drain")
    (folder / "records.jsonl").unlink()
    by_file, by_name = planned(stream), planned("test")
    assert by_file == by_name
    assert by_file["baseline"]["windows"] == HOURS


def read(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "records.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_a_plan_is_made_from_distinct_texts_however_its_baseline_comes(folder: Path) -> None:
    """By path, by name, from a file with a range, and from the database: the same windows."""
    write_stream(folder)
    run("baseline", "fit", "stream.yaml", "--name", "mine", "--records", "records.jsonl")
    ranged = planned("stream.yaml")
    named = planned("stream.yaml", "--baseline", "mine")
    path = planned(write_stream(folder, baseline={"path": "records.jsonl"}))
    run("run", "stream.yaml", "--drain")
    stored = planned("test")
    for found in (named, path, stored):
        assert found["series"] == ranged["series"]
        assert found["window_lengths"] == ranged["window_lengths"]
    assert len(ranged["window_lengths"]["lengths"]) > 1


def test_a_file_that_was_changed_since_is_planned_itself(folder: Path) -> None:
    stream = write_stream(folder)
    run("baseline", "fit", stream, "--name", "mine", "--records", "records.jsonl")
    assert planned(stream, "--baseline", "mine")["baseline"]["windows"] == HOURS
    named = write_stream(folder, baseline={"name": "mine"})
    assert planned(named)["baseline"]["windows"] == HOURS
    other = write_stream(folder, window="2h", baseline={"name": "mine"})
    assert "fit it again with the stream's `window`" in str(refusal(BaselineError, other))


# -- Errors ------------------------------------------------------------------------------------


def refusal(kind: type[Exception], *arguments: object) -> Exception:
    with pytest.raises(kind) as raised:
        run("plan", *arguments)
    return raised.value


KAFKA = {"kind": "kafka", "bootstrap": "localhost:1", "topic": "t"}


def test_a_topic_without_a_baseline_cannot_be_planned_yet(folder: Path) -> None:
    said = str(refusal(BaselineError, write_stream(folder, source=KAFKA)))
    assert "has no baseline yet" in said
    assert "tidegauge baseline fit" in said
    assert "--baseline NAME" in said


def test_votes_without_times_are_replaced_by_the_files_or_refused(folder: Path) -> None:
    np.save(folder / "votes.npy", np.zeros((500, 3), dtype=np.int64))
    path = {"path": "votes.npy"}
    assert planned(write_stream(folder, baseline=path))["baseline"]["windows"] == HOURS
    said = str(refusal(BaselineError, write_stream(folder, baseline=path, source=KAFKA)))
    assert "has no windows: a vote matrix has no times" in said


def test_an_empty_range_says_where_the_records_are(folder: Path) -> None:
    empty = {"from": "2019-01-01", "until": "2019-02-01"}
    said = str(refusal(BaselineError, write_stream(folder, baseline=empty)))
    assert f"they lie from {to_iso(START)} to" in said
    assert "Choose another range" in said


def test_files_that_cannot_be_read_as_records_are_said_to_be(folder: Path) -> None:
    write_jsonl(folder / "records.jsonl", [b"{", b"]"])
    said = str(refusal(BaselineError, write_stream(folder)))
    assert "no record of the source of stream 'test' can be read" in said
    assert "tidegauge probes check" in said


@pytest.mark.parametrize("name", ["nobody", "missing.yaml"])
def test_an_unknown_stream_is_said_to_be(folder: Path, name: str) -> None:
    assert name.removesuffix(".yaml") in str(refusal(ServiceError, name))
