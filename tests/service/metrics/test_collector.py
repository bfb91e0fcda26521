"""What Prometheus gets: every metric of the catalogue, capped, honest, and at any time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.exposition import choose_encoder
from prometheus_client.parser import text_string_to_metric_families

from tests.dashboards.snapshots import NOW_MS, PROBES, SEGMENTS, snapshot
from tests.servers.prometheus import promtool
from tidegauge_probes import findings
from tidegauge_service.metrics import collector as metrics
from tidegauge_service.metrics import meters
from tidegauge_service.metrics.collector import CATALOGUE, Collector, MetricType
from tidegauge_service.metrics.figures import (
    PartitionFigures,
    PrecisionFigures,
    ProbeFigures,
    SegmentFigures,
    Snapshot,
    StreamFigures,
)

Labels = dict[str, str]


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


def empty_stream(**changes: object) -> StreamFigures:
    bare = StreamFigures(
        stream="s",
        window_end_ms=None,
        window_ms=60_000,
        windows_total=0,
        learning=True,
        dead_letters={},
        candidates={},
        notifications={},
    )
    return replace(bare, **changes)  # type: ignore[arg-type]


def collector_of(*streams: StreamFigures, max_series: int = 20_000) -> Collector:
    taken = Snapshot(streams=streams, taken_at_ms=NOW_MS)
    return Collector(lambda: taken, max_series)


# -- The catalogue --------------------------------------------------------------------------------


def test_every_metric_of_the_catalogue_is_rendered_and_no_other() -> None:
    collector = Collector(snapshot, others=[meters.REGISTRY])
    meters.ran("spam", PROBES[:1], np.array([0.5]))
    meters.committed("spam", 0.1)
    meters.fenced("spam")
    meters.lifting_ended("spam", PROBES[0])
    families = {f"{f.name}": f for f in collector.collect()}
    for metric in CATALOGUE:
        family = families.pop(metric.name.removesuffix("_total"))
        assert family.type == metric.type
        labels = {tuple(sample.labels) for sample in family.samples}
        assert {tuple(n for n in found if n != "le") for found in labels} == {metric.labels}
    assert families == {}


def test_meters_say_of_themselves_what_the_catalogue_says() -> None:
    listed = {m.name: m for m in CATALOGUE if m.origin is metrics.Origin.PROCESS}
    for family in meters.REGISTRY.collect():
        name = family.name + ("_total" if family.type == "counter" else "")
        assert listed[name].type == family.type


@pytest.mark.parametrize("metric", CATALOGUE, ids=lambda metric: metric.name)
def test_names_follow_prometheus_conventions(metric: metrics.Metric) -> None:
    assert metric.name.startswith("tidegauge_")
    assert metric.name.endswith("_total") == (metric.type is MetricType.COUNTER)
    assert metric.help.endswith(".")
    allowed = (
        "stream probe other segment label partition reason state severity kind series version rule"
    )
    allowed += " table"
    assert set(metric.labels) <= set(allowed.split())


def test_names_are_unique() -> None:
    assert len({metric.name for metric in CATALOGUE}) == len(CATALOGUE)


def test_promtool_finds_nothing_to_complain_about() -> None:
    text = generate_latest(Collector(snapshot, others=[meters.REGISTRY]).registry).decode()
    checked = promtool("check", "metrics", stdin=text)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_openmetrics_can_be_rendered_too() -> None:
    encode, _ = choose_encoder("application/openmetrics-text; version=1.0.0")
    text = encode(Collector(snapshot, others=[meters.REGISTRY]).registry).decode()
    assert text.endswith("# EOF\n")
    assert 'tidegauge_records_total{partition="0",stream="spam"} 5000.0\n' in text


def test_the_segment_of_all_records_has_the_probes_name() -> None:
    assert metrics.ALL == findings.ALL


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
    bare = ProbeFigures(probe="p", segment="_all")
    unknown = PartitionFigures(
        partition=0,
        next_offset=7,
        end_offset=None,
        watermark_ms=None,
        records_total=0,
        late_total=0,
    )
    silent = SegmentFigures(segment="_all", records=0)
    unjudged = PrecisionFigures(probe="p", label="SPAM")
    stream = empty_stream(
        probes=[bare], partitions=[unknown], segments=[silent], precision=[unjudged]
    )
    collector = collector_of(stream)
    found = {name for name in rendered(collector) if name.startswith("tidegauge_")}
    assert not {
        name
        for name in found
        if name.startswith(("tidegauge_lf", "tidegauge_blind", "tidegauge_class"))
    }
    assert "tidegauge_consumer_lag_records" not in found
    assert "tidegauge_watermark_timestamp_seconds" not in found
    assert "tidegauge_window_end_timestamp_seconds" not in found
    # These are counts, and known to be 0.
    assert only(collector, "tidegauge_window_records", segment="_all") == 0
    assert only(collector, "tidegauge_records_total", partition="0") == 0
    assert only(collector, "tidegauge_windows_evaluated_total") == 0
    assert only(collector, "tidegauge_stream_learning") == 1


def test_lag_is_never_below_zero() -> None:
    ahead = PartitionFigures(
        partition=0, next_offset=9, end_offset=7, watermark_ms=0, records_total=9, late_total=0
    )
    assert ahead.lag == 0


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
    odd = SegmentFigures(segment="a\ud800b", records=5)
    collector = collector_of(empty_stream(segments=[odd]))
    assert only(collector, "tidegauge_window_records", segment="a?b") == 5


# -- The cap --------------------------------------------------------------------------------------


def test_whole_streams_come_first_then_all_records_then_segments_by_name() -> None:
    parts = [
        SegmentFigures(segment=name, records=1, blind_spot=0.1) for name in ("b", "a", "_all", "c")
    ]
    stream = empty_stream(segments=parts, candidates={"proposed": 3})
    whole = len(list(metrics.samples(Snapshot(streams=[empty_stream()], taken_at_ms=0)))) + 1
    collector = collector_of(stream, max_series=whole + 4)
    shown = {labels["segment"] for labels, _ in rendered(collector)["tidegauge_window_records"]}
    assert shown == {"_all", "a"}
    assert only(collector, "tidegauge_candidates") == 3
    assert only(collector, "tidegauge_series_dropped") == 4


def test_the_cap_is_kept() -> None:
    parts = [SegmentFigures(segment=f"user={i}", records=i) for i in range(5_000)]
    collector = collector_of(empty_stream(segments=parts), max_series=1_000)
    own = {metric.name for metric in CATALOGUE if metric.origin is metrics.Origin.PROCESS}
    shown = sum(len(found) for name, found in rendered(collector).items() if name not in own)
    assert shown == 1_000


def test_nothing_is_dropped_below_the_cap() -> None:
    assert only(Collector(snapshot), "tidegauge_series_dropped") == 0


def test_a_series_given_twice_is_shown_once() -> None:
    twice = [SegmentFigures(segment="_all", records=n) for n in (1, 2)]
    collector = collector_of(empty_stream(segments=twice))
    assert only(collector, "tidegauge_window_records") == 1
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
