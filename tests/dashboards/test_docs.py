"""docs/metrics.md tells of every metric, alert and dashboard."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.dashboards.queries import dashboards
from tests.dashboards.test_rules import RECORDED, rules
from tidegauge_service.metrics.table import TABLE, Metric

PAGE = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"


def page() -> str:
    return PAGE.read_text(encoding="utf-8")


def row(metric: Metric) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels) or "–"
    return f"| `{metric.name}` | {metric.type} | {labels} | {metric.help} |"


@pytest.mark.parametrize("metric", TABLE, ids=lambda metric: metric.name)
def test_every_metric_has_its_row(metric: Metric) -> None:
    assert row(metric) in page().splitlines()


def test_no_metric_is_told_of_that_is_not_there() -> None:
    known = {metric.name for metric in TABLE}
    plain = re.sub(r"\w+:tidegauge_\w+:\w+", "", page())
    told = set(re.findall(r"`(tidegauge_\w+)", plain))
    # A package's name looks the same.
    assert told - known <= {"tidegauge_dashboards"}


@pytest.mark.parametrize("name", [rule["alert"] for rule in rules("alert")])
def test_every_alert_is_told_of(name: str) -> None:
    assert f"| `{name}` |" in page()


@pytest.mark.parametrize("name", sorted(RECORDED))
def test_every_recorded_series_is_told_of(name: str) -> None:
    assert f"`{name}`" in page()


@pytest.mark.parametrize("name", dashboards())
def test_every_dashboard_is_told_of(name: str) -> None:
    assert f"`{name}`" in page()
