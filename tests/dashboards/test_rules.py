"""The Prometheus rules are valid, tested, and name only metrics that there are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.servers.prometheus import promtool
from tidegauge_service.metrics.table import TABLE

REPOSITORY = Path(__file__).resolve().parents[2]
RULES = REPOSITORY / "dashboards" / "tidegauge_dashboards" / "rules" / "tidegauge.rules.yml"
UNIT_TESTS = Path(__file__).parent / "rules.test.yml"


def rules(kind: str) -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"] if kind in rule]


RECORDED = {rule["record"] for rule in rules("record")}
each_alert = pytest.mark.parametrize("rule", rules("alert"), ids=lambda rule: rule["alert"])


def test_promtool_reads_the_rules() -> None:
    checked = promtool("check", "rules", RULES)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_alert_fires_and_keeps_quiet_as_its_unit_tests_say() -> None:
    tested = promtool("test", "rules", UNIT_TESTS)
    assert tested.returncode == 0, tested.stdout + tested.stderr


@each_alert
def test_every_alert_is_seen_firing_in_the_unit_tests(rule: dict[str, Any]) -> None:
    text = UNIT_TESTS.read_text(encoding="utf-8")
    expected = rf'alertname="{rule["alert"]}"[^\n]*value: 1|alertname: {rule["alert"]}\b'
    assert re.search(expected, text)


@each_alert
def test_every_alert_waits_and_says_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["alert"].startswith("Tidegauge")
    assert "for" in rule
    assert set(rule["annotations"]) == {"summary", "description", "runbook"}


@each_alert
def test_every_alert_has_a_severity(rule: dict[str, Any]) -> None:
    given = rule.get("labels", {}).get("severity")
    # Drift has the severity that tidegauge gave it.
    assert given in {"warning", "critical"} or "by (stream, severity" in rule["expr"]


@pytest.mark.parametrize("name", sorted(RECORDED))
def test_recorded_names_are_level_metric_operation(name: str) -> None:
    assert re.fullmatch(r"[a-z_]+:tidegauge_[a-z_]+:[a-z0-9]+", name)


def test_rules_name_only_metrics_that_there_are() -> None:
    names = {metric.name for metric in TABLE}
    for rule in [*rules("record"), *rules("alert")]:
        recorded = set(re.findall(r"\w+:tidegauge_\w+:\w+", rule["expr"]))
        assert recorded <= RECORDED, rule
        plain = re.sub(r"\w+:tidegauge_\w+:\w+", "", rule["expr"])
        assert set(re.findall(r"tidegauge_\w+", plain)) <= names, rule


def test_event_time_is_never_compared_with_the_clock_alone() -> None:
    """A replay of old records would page. Watermarks are compared with their own past."""
    for rule in rules("alert"):
        assert "window_end_timestamp" not in rule["expr"], rule["alert"]
        if "watermark_age" in rule["expr"]:
            assert "min_over_time(stream:tidegauge_watermark_age_seconds:max[1d])" in rule["expr"]
