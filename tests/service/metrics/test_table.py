"""Each row of the table follows Prometheus' conventions, and is read from one place."""

from __future__ import annotations

import pytest

from tidegauge_service.metrics import meters
from tidegauge_service.metrics.subjects import SUBJECTS
from tidegauge_service.metrics.table import TABLE, Metric, MetricType, Origin


def test_meters_say_of_themselves_what_the_table_says() -> None:
    listed = {m.name: m for m in TABLE if m.origin is Origin.PROCESS}
    for family in meters.REGISTRY.collect():
        name = family.name + ("_total" if family.type == "counter" else "")
        assert listed[name].type == family.type


@pytest.mark.parametrize("metric", TABLE, ids=lambda metric: metric.name)
def test_names_follow_prometheus_conventions(metric: Metric) -> None:
    assert metric.name.startswith("tidegauge_")
    assert metric.name.endswith("_total") == (metric.type is MetricType.COUNTER)
    assert metric.help.endswith(".")
    allowed = (
        "stream probe other segment label partition reason state severity kind series version rule"
    )
    allowed += " table"
    assert set(metric.labels) <= set(allowed.split())


def test_names_are_unique() -> None:
    assert len({metric.name for metric in TABLE}) == len(TABLE)


@pytest.mark.parametrize("metric", TABLE, ids=lambda metric: metric.name)
def test_shared_state_is_read_and_the_process_own_is_not(metric: Metric) -> None:
    assert (metric.subject is None) == (metric.origin is Origin.PROCESS)
    assert metric.subject is None or metric.subject in SUBJECTS


def test_every_subject_has_a_metric() -> None:
    assert {metric.subject for metric in TABLE} - {None} == {*SUBJECTS}
