"""View models from summaries: pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tidegauge_probes.drift.civil_time import ClockChange
from tidegauge_service.store.states import WindowState
from tidegauge_service.store.streams import PartitionRow, StreamRow
from tidegauge_service.store.windows.figures import SeriesFigure
from tidegauge_service.store.windows.queries import StreamSummary, WindowFigures
from tidegauge_service.web.pages import overview, streams
from tidegauge_service.web.pages.streams import Light

NOON = 1_584_273_600_000
READING = PartitionRow(0, 90, 100, NOON + 999, NOON, False, 90, 2, "worker")  # noqa: FBT003
COMPARED = WindowFigures(NOON, WindowState.COMPARED, "p", "b", 300, 0, ())
PENDING = ("pending", "warning", "spike")
FIRING = ("firing", "warning", "spike")
CRITICAL = ("firing", "critical", "drift")
SETTLED = ("settled", "warning", "drift")


def summary(name: str = "spam", **changes: Any) -> StreamSummary:
    values: dict[str, Any] = {
        "stream": StreamRow(1, name, 3_600_000, 600_000, "probes-1", "base-1"),
        "closed_through_ms": None,
        "evaluated_through_ms": None,
        "partitions": (READING,),
        "windows": 5,
        "last_window": COMPARED,
        "dead_letters": {},
        "alerts": {},
        "candidates": {},
        "notifications": {},
    }
    return StreamSummary(**{**values, **changes})


def fact(found: StreamSummary, name: str) -> str:
    facts = {f.name: f.value for f in streams.card(found, chosen=False).facts}
    return facts[name]


@pytest.mark.parametrize(
    ("alerts", "light", "text"),
    [
        ({}, Light.CALM, "no open alert"),
        ({("resolved", "critical", "spike"): 4}, Light.CALM, "no open alert"),
        ({SETTLED: 2}, Light.CALM, "2 alerts settled"),
        ({SETTLED: 2, PENDING: 1}, Light.WATCH, "1 alert pending"),
        ({PENDING: 1}, Light.WATCH, "1 alert pending"),
        ({PENDING: 1, FIRING: 1}, Light.ALARM, "1 alert firing, 0 critical"),
        ({FIRING: 1, CRITICAL: 1}, Light.ALARM, "2 alerts firing, 1 critical"),
    ],
)
def test_the_light(alerts: Any, light: Light, text: str) -> None:
    state = streams.state(summary(alerts=alerts))
    assert (state.light, state.text) == (light, text)


def test_the_light_of_the_page_is_that_of_all_streams() -> None:
    both = streams.state(summary(alerts={FIRING: 1}), summary(alerts={CRITICAL: 2}))
    assert both.text == "3 alerts firing, 2 critical"
    assert streams.state().light is Light.UNKNOWN


def test_no_light_is_green_before_anything_was_compared() -> None:
    early = replace(COMPARED, state=WindowState.BASELINE)
    assert streams.state(summary(last_window=early)).light is Light.UNKNOWN
    assert streams.state(summary(last_window=None)).light is Light.UNKNOWN


def test_drained_means_all_partitions() -> None:
    done = replace(READING, drained=True)
    assert streams.reading(summary(partitions=(done, READING))).startswith("reading")
    assert streams.reading(summary(partitions=(done, done))).startswith("drained")


def test_inputs_that_are_no_records_are_said_to_be_so() -> None:
    none = replace(READING, records=0)
    found = summary(partitions=(none,), last_window=None, dead_letters={"not_json": 3})
    assert "No input is a valid record" in streams.next_step(found)


def test_figures_of_a_stream() -> None:
    slow = replace(READING, partition=1, next_offset=5, end_offset=7, watermark_ms=NOON - 5_500)
    found = summary(
        partitions=(READING, slow),
        dead_letters={"missing_id": 2, "not_json": 1_000},
        candidates={"proposed": 7, "labeled": 3},
    )
    assert fact(found, "Records") == "180"
    assert fact(found, "Late records") == "4"
    assert fact(found, "Not read yet") == "12"
    assert fact(found, "Dead letters") == "1,002 (1,000 not_json, 2 missing_id)"
    assert fact(found, "Watermark") == "2020-03-15T11:59:54Z"
    assert fact(found, "Last window") == "2020-03-15T12:00:00Z, 300 records"
    assert fact(found, "Candidates waiting") == "7"


def test_an_unread_partition_holds_the_watermark() -> None:
    unread = replace(READING, partition=1, watermark_ms=None, end_offset=None)
    found = summary(partitions=(READING, unread))
    assert fact(found, "Watermark") == "–"
    assert fact(found, "Not read yet") == "unknown"


def error(probe: str, x: int, segment: str = "_all") -> SeriesFigure:
    rest = (None, None, None, None, None, None, None, "ok")
    return SeriesFigure("error", segment, probe, "", "", x, 300, *rest)


def test_lfs_that_fail_as_often_as_in_training_are_listed_without_an_alert() -> None:
    series = (error("prize", 24), error("links", 90), error("fine", 2), error("prize", 300, "a=b"))
    found = summary(last_window=replace(COMPARED, series=series))
    said = "'links' on 30 %, 'prize' on 8 % of the records"
    assert fact(found, "Failing LFs, last window") == said
    assert streams.state(found).light is Light.CALM
    with pytest.raises(KeyError):
        fact(summary(), "Failing LFs, last window")


def test_a_drained_partition_holds_no_watermark() -> None:
    old = replace(READING, partition=1, watermark_ms=1_000, drained=True)
    found = summary(partitions=(old, replace(READING, watermark_ms=NOON)))
    assert fact(found, "Watermark") == "2020-03-15T12:00:00Z"
    assert found.watermark_ms == NOON
    ended = summary(partitions=(old, replace(READING, watermark_ms=NOON, drained=True)))
    assert ended.watermark_ms == NOON, "how far the stream came"
    unread = replace(READING, partition=2, watermark_ms=None)
    assert summary(partitions=(old, unread)).watermark_ms is None
    assert summary(partitions=()).watermark_ms is None


def test_the_stream_with_alerts_is_chosen_unasked() -> None:
    quiet, alarmed = summary("a"), summary("b", alerts={FIRING: 1})
    assert overview.choose([quiet, alarmed], None) is alarmed
    assert overview.choose([quiet, alarmed], "a") is quiet
    assert overview.choose([quiet, alarmed], "c") is None
    assert overview.choose([quiet], None) is quiet
    assert overview.choose([], None) is None


def test_the_times_of_a_stream_are_by_its_clock_and_said_to_be() -> None:
    row = StreamRow(1, "spam", 3_600_000, 0, "probes-1", "base-1", timezone="Asia/Kolkata")
    found = summary(stream=row)
    assert fact(found, "Times") == "in Asia/Kolkata"
    assert fact(found, "Last window") == "2020-03-15T17:30:00+05:30, 300 records"
    assert fact(summary(), "Times") == "in UTC"
    stale = streams.next_step(replace(found, stale_ms=NOON))
    assert "not moved since 2020-03-15T17:30:00+05:30, so" in stale


def test_a_cycle_that_follows_a_clock_is_told_with_what_to_do() -> None:
    followed = ClockChange(1_774_746_000_000, 1, "Europe/Berlin")
    said = streams.next_step(summary(clock_change=followed))
    assert said.startswith("The daily cycle of this stream shifts by one hour on 29 March 2026:")
    assert "set `timezone:` in the stream file" in said


def test_files_are_looked_at_once() -> None:
    """A file that grows after its end is not noticed: 0 is as of then."""
    ended = replace(READING, drained=True, next_offset=7, end_offset=7)
    unread = fact(replace(summary(partitions=(ended,)), source="file"), "Not read yet")
    assert unread == "0 (the files were read to their end; restart to read new ones)"
    assert fact(replace(summary(partitions=(READING,)), source="file"), "Not read yet") == "10"
    assert fact(replace(summary(partitions=(ended,)), source="kafka"), "Not read yet") == "0"
