"""What Prometheus gets: every metric of the table, capped, honest, and at any time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.exposition import choose_encoder
from prometheus_client.parser import text_string_to_metric_families

from tests.dashboards.snapshots import (
    NOW_MS,
    PROBES,
    SEGMENTS,
    figure,
    partition_row,
    snapshot,
    stream_row,
)
from tests.servers.prometheus import promtool
from tidegauge_service.metrics import exposition as metrics
from tidegauge_service.metrics import meters
from tidegauge_service.metrics.exposition import Collector
from tidegauge_service.metrics.snapshot import Snapshot, StreamFigures
from tidegauge_service.metrics.table import TABLE, Origin
from tidegauge_service.store.ingest.quarantine import Quarantined
from tidegauge_service.store.states import WindowState
from tidegauge_service.store.windows.figures import SeriesFigure
from tidegauge_service.store.windows.precision import ClassShare, LfPrecision, WindowPrecision
from tidegauge_service.store.windows.queries import StreamSummary, WindowFigures

Labels = dict[str, str]
LAG = "tidegauge_consumer_lag_records"


class HandClock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Reader:
    """A read of the shared state that counts, and fails on request."""

    def __init__(self, answer: Snapshot | None = None) -> None:
        self.answer = answer or snapshot()
        self.reads = 0
        self.error: Exception | None = None

    def __call__(self) -> Snapshot:
        self.reads += 1
        if self.error is not None:
            raise self.error
        return self.answer


def rendered(collector: Collector) -> dict[str, list[tuple[Labels, float]]]:
    """Render as for Prometheus, and read it back: sample name → labels and value."""
    found: dict[str, list[tuple[Labels, float]]] = {}
    for family in text_string_to_metric_families(generate_latest(collector.registry).decode()):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def only(collector: Collector, name: str, **labels: str) -> float | None:
    """Return the value of the one sample with these labels, or None if there is none."""
    samples = rendered(collector).get(name, [])
    values = [value for found, value in samples if labels.items() <= found.items()]
    assert len(values) <= 1, values
    return values[0] if values else None


def empty_stream(
    name: str = "s",
    series: Sequence[SeriesFigure] = (),
    precision: WindowPrecision | None = None,
    **changes: Any,
) -> StreamFigures:
    """Return a stream of which nothing is known, but for what is given."""
    last = WindowFigures(0, WindowState.LEARNING, "p", "b", 0, 0, tuple(series))
    bare = StreamSummary(
        stream=stream_row(name, 60_000),
        closed_through_ms=None,
        evaluated_through_ms=None,
        partitions=(),
        windows=0,
        last_window=last if series else None,
        dead_letters={},
        alerts={},
        candidates={},
        notifications={},
    )
    return StreamFigures(replace(bare, **changes), precision=precision)


def collector_of(*streams: StreamFigures, max_series: int = 20_000) -> Collector:
    taken = Snapshot(streams=streams, taken_at_ms=NOW_MS)
    return Collector(lambda: taken, max_series)


# -- The whole ------------------------------------------------------------------------------------


def test_every_metric_of_the_table_is_rendered_and_no_other() -> None:
    collector = Collector(snapshot, others=[meters.REGISTRY])
    meters.ran("spam", PROBES[:1], np.array([0.5]))
    meters.committed("spam", 0.1)
    meters.fenced("spam")
    meters.lifting_ended("spam", PROBES[0])
    families = {f"{f.name}": f for f in collector.collect()}
    for metric in TABLE:
        family = families.pop(metric.name.removesuffix("_total"))
        assert family.type == metric.type
        labels = {tuple(sample.labels) for sample in family.samples}
        assert {tuple(n for n in found if n != "le") for found in labels} == {metric.labels}
    assert families == {}


def test_promtool_finds_nothing_to_complain_about() -> None:
    text = generate_latest(Collector(snapshot, others=[meters.REGISTRY]).registry).decode()
    checked = promtool("check", "metrics", stdin=text)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_openmetrics_can_be_rendered_too() -> None:
    encode, _ = choose_encoder("application/openmetrics-text; version=1.0.0")
    text = encode(Collector(snapshot, others=[meters.REGISTRY]).registry).decode()
    assert text.endswith("# EOF\n")
    assert 'tidegauge_records_total{partition="0",stream="spam"} 5000.0\n' in text


# -- Values ---------------------------------------------------------------------------------------


def test_figures_arrive_as_they_are() -> None:
    collector = Collector(lambda: snapshot(1))
    where = {"stream": "spam", "probe": "check_out", "segment": "_all"}
    assert only(collector, "tidegauge_lf_coverage_ratio", **where) == pytest.approx(0.06)
    assert only(collector, "tidegauge_lf_coverage_expected_ratio", **where) == 0.02
    assert only(collector, "tidegauge_lf_coverage_low_ratio", **where) == 0.015
    assert only(collector, "tidegauge_lf_coverage_high_ratio", **where) == 0.025
    assert only(collector, "tidegauge_lf_overlap_ratio", **where) == 0.5
    assert only(collector, "tidegauge_lf_conflict_ratio", **where) == 0.1
    assert only(collector, "tidegauge_lf_agreement_ratio", **where) == 0.8
    assert only(collector, "tidegauge_lf_error_ratio", **where) == 0.0
    assert only(collector, "tidegauge_window_records", stream="spam", segment="_all") == 1_001
    assert only(collector, "tidegauge_volume_records", stream="spam") == 1_001
    assert only(collector, "tidegauge_volume_expected_records", stream="spam") == 1_000
    assert only(collector, "tidegauge_volume_low_records", stream="spam") == 900
    assert only(collector, "tidegauge_volume_high_records", stream="spam") == pytest.approx(1_100)
    web = {"stream": "spam", "segment": "channel=web"}
    assert only(collector, "tidegauge_segment_share_ratio", **web) == 0.4
    assert only(collector, "tidegauge_segment_share_expected_ratio", **web) == 0.3
    assert only(collector, "tidegauge_windows_evaluated_total", stream="news") == 11
    assert only(collector, "tidegauge_dead_letters_total", stream="spam", reason="not_json") == 4
    assert only(collector, "tidegauge_candidates", stream="spam", state="proposed") == 121
    assert only(collector, "tidegauge_consumer_lag_records", stream="spam", partition="1") == 40


def test_times_are_in_seconds() -> None:
    collector = Collector(snapshot)
    end = only(collector, "tidegauge_window_end_timestamp_seconds", stream="spam")
    assert end == NOW_MS / 1000
    assert only(collector, "tidegauge_window_duration_seconds", stream="spam") == 600
    evaluated = only(collector, "tidegauge_window_evaluated_timestamp_seconds", stream="spam")
    assert evaluated == NOW_MS / 1000 + 1
    assert only(collector, "tidegauge_snapshot_timestamp_seconds") == NOW_MS / 1000


def test_samples_carry_no_timestamps() -> None:
    found = Collector(snapshot).collect()
    assert {sample.timestamp for family in found for sample in family.samples} == {None}


def test_no_data_is_left_out_and_never_zero() -> None:
    bare = [figure(kind, "_all", "p") for kind in ("coverage", "overlap", "conflict", "error")]
    unjudged = WindowPrecision(
        0, "b", 0, 0, (ClassShare("SPAM", 0.5, None),),
        (LfPrecision("p", "SPAM", 0.9, None, None, None, None, changed=False),),
    )  # fmt: skip
    unknown = partition_row(0, next_offset=7)
    collector = collector_of(
        empty_stream("silent", [*bare, figure("blind_spot", "_all")], unjudged),
        empty_stream(partitions=(unknown,)),
    )
    found = {name for name in rendered(collector) if name.startswith("tidegauge_")}
    assert not {
        name
        for name in found
        if name.startswith(("tidegauge_lf", "tidegauge_blind", "tidegauge_class", "tidegauge_vol"))
    }
    assert "tidegauge_consumer_lag_records" not in found
    assert "tidegauge_watermark_timestamp_seconds" not in found
    assert "tidegauge_window_evaluated_timestamp_seconds" not in found
    assert only(collector, "tidegauge_window_end_timestamp_seconds", stream="s") is None
    # These are counts, and known to be 0.
    assert only(collector, "tidegauge_window_records", segment="_all") == 0
    assert only(collector, "tidegauge_records_total", partition="0") == 0
    assert only(collector, "tidegauge_windows_evaluated_total", stream="s") == 0
    assert only(collector, "tidegauge_stream_learning", stream="s") == 1


def test_lag_is_never_below_zero() -> None:
    ahead = partition_row(0, next_offset=9, end_offset=7)
    assert only(collector_of(empty_stream(partitions=(ahead,))), LAG) == 0


def test_an_alert_without_an_effect_still_shows_since_when() -> None:
    collector = Collector(snapshot)
    which = {"stream": "spam", "series": "polarity", "label": "HAM"}
    assert only(collector, "tidegauge_alert_effect_ratio", **which) is None
    assert (
        only(collector, "tidegauge_alert_since_timestamp_seconds", **which) == NOW_MS / 1000 - 600
    )


def test_odd_names_survive() -> None:
    found = rendered(Collector(snapshot))["tidegauge_lf_coverage_ratio"]
    assert {labels["probe"] for labels, _ in found} == set(PROBES)
    assert {labels["segment"] for labels, _ in found} == set(SEGMENTS)


def test_a_name_that_cannot_be_encoded_hides_nothing() -> None:
    odd = figure("blind_spot", "a\ud800b", n=5)
    collector = collector_of(empty_stream(series=[odd]))
    assert only(collector, "tidegauge_window_records", segment="a?b") == 5


# -- The cap --------------------------------------------------------------------------------------


def test_whole_streams_come_first_then_all_records_then_segments_by_name() -> None:
    parts = [figure("blind_spot", name, x=1, n=10) for name in ("b", "a", "_all", "c")]
    stream = empty_stream(series=parts, candidates={"proposed": 3})
    whole = sum(not s.segment for s in metrics.samples(Snapshot([stream], taken_at_ms=0)))
    collector = collector_of(stream, max_series=whole + 4)
    shown = {labels["segment"] for labels, _ in rendered(collector)["tidegauge_window_records"]}
    assert shown == {"_all", "a"}
    assert only(collector, "tidegauge_candidates") == 3
    assert only(collector, "tidegauge_series_dropped") == 4


def test_the_cap_is_kept() -> None:
    parts = [figure("blind_spot", f"user={i}", n=i) for i in range(5_000)]
    collector = collector_of(empty_stream(series=parts), max_series=1_000)
    own = {metric.name for metric in TABLE if metric.origin is Origin.PROCESS}
    shown = sum(len(found) for name, found in rendered(collector).items() if name not in own)
    assert shown == 1_000


def test_nothing_is_dropped_below_the_cap() -> None:
    assert only(Collector(snapshot), "tidegauge_series_dropped") == 0


def test_a_series_given_twice_is_shown_once() -> None:
    """An LF and a slicing function may have one name."""
    twice = tuple(Quarantined(place, "loops", "why", 0, 1, "p") for place in (0, 7))
    collector = collector_of(empty_stream(quarantined=twice))
    assert only(collector, "tidegauge_lf_quarantined") == 1
    assert only(collector, "tidegauge_series_dropped") == 1


# -- Reading --------------------------------------------------------------------------------------


def test_the_state_is_read_once_per_ttl() -> None:
    read, clock = Reader(), HandClock()
    collector = Collector(read, ttl_s=5, clock=clock)
    assert read.reads == 0
    for _ in range(3):
        rendered(collector)
    assert read.reads == 1
    clock.now += 4.9
    rendered(collector)
    assert read.reads == 1
    clock.now += 0.1
    rendered(collector)
    assert read.reads == 2


def test_many_scrapes_at_once_share_one_read() -> None:
    entered, let_go, read = threading.Event(), threading.Event(), Reader()

    def slow() -> Snapshot:
        entered.set()
        assert let_go.wait(10)
        return read()

    collector = Collector(slow, ttl_s=1_000)
    threads = [threading.Thread(target=rendered, args=(collector,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    assert entered.wait(10)
    let_go.set()
    for thread in threads:
        thread.join(10)
    assert read.reads == 1


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(lambda: (_ for _ in ()).throw(OSError("no database")), id="cannot be read"),
        pytest.param(lambda: None, id="is no snapshot"),
        pytest.param(
            lambda: Snapshot(streams=[empty_stream(dead_letters={None: 1})], taken_at_ms=0),
            id="cannot be rendered",
        ),
    ],
)
def test_a_failing_read_is_told_and_its_figures_are_gone(broken: Callable[[], Snapshot]) -> None:
    clock, answers = HandClock(), [snapshot, broken, snapshot]

    def read() -> Snapshot:
        return answers.pop(0)()

    collector = Collector(read, ttl_s=5, clock=clock)
    assert only(collector, "tidegauge_snapshot_up") == 1
    clock.now += 5
    found = rendered(collector)
    assert found["tidegauge_snapshot_up"] == [({}, 0.0)]
    assert found["tidegauge_snapshot_failures_total"] == [({}, 1.0)]
    assert "tidegauge_build_info" in found
    assert "tidegauge_window_records" not in found
    assert "tidegauge_snapshot_timestamp_seconds" not in found
    clock.now += 5
    assert only(collector, "tidegauge_snapshot_up") == 1
    assert only(collector, "tidegauge_snapshot_failures_total") == 1


def test_a_failing_read_is_not_tried_again_before_the_ttl() -> None:
    read, clock = Reader(), HandClock()
    read.error = OSError("no database")
    collector = Collector(read, ttl_s=5, clock=clock)
    rendered(collector)
    rendered(collector)
    assert read.reads == 1


def test_it_takes_the_time_of_the_read() -> None:
    clock = HandClock()

    def slow() -> Snapshot:
        clock.now += 0.25
        return snapshot()

    assert only(Collector(slow, clock=clock), "tidegauge_snapshot_duration_seconds") == 0.25


def test_retired_probes_go_away() -> None:
    clock, read = HandClock(), Reader()
    collector = Collector(read, ttl_s=5, clock=clock)
    rendered(collector)
    read.answer = Snapshot(streams=[empty_stream()], taken_at_ms=NOW_MS)
    clock.now += 5
    assert "tidegauge_lf_coverage_ratio" not in rendered(collector)


def test_other_registries_of_the_process_are_shown_even_when_the_read_fails() -> None:
    own = CollectorRegistry()
    Counter("tidegauge_own", "One of ours.", registry=own).inc()
    read = Reader()
    read.error = OSError("no database")
    assert only(Collector(read, others=[own]), "tidegauge_own_total") == 1


def test_no_streams_are_no_error() -> None:
    collector = collector_of()
    assert only(collector, "tidegauge_snapshot_up") == 1
