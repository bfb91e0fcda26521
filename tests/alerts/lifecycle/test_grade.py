"""Severity goes by the share of all records and by the odds, together."""

from dataclasses import replace

import pytest
from hypothesis import given

from tests.alerts.builders import COVERAGE, context, finding, shifted
from tests.alerts.strategies import findings
from tidegauge_alerts import Rule, Severity, advance
from tidegauge_alerts.lifecycle.grade import affected, severity_of
from tidegauge_probes.findings import Finding, SeriesKey, SeriesKind, Verdict


def severity(found: Finding, records: int = 0) -> Severity:
    return severity_of(found, Severity.WARNING, Rule(), records)


def test_many_records_at_small_odds_are_a_warning() -> None:
    assert severity(shifted(0.42, expected=0.3)) is Severity.WARNING


def test_few_records_at_large_odds_are_a_warning() -> None:
    assert severity(shifted(0.04, expected=0.001)) is Severity.WARNING


def test_both_are_critical() -> None:
    assert severity(shifted(0.06, expected=0.001)) is Severity.CRITICAL


@pytest.mark.parametrize(
    ("records", "expected"), [(1000, "critical"), (1200, "critical"), (2000, "warning")]
)
def test_a_segment_counts_for_its_part_of_the_records(records: int, expected: str) -> None:
    """6.2 % of 1,000 records: of 1,200 that is 5.2 %, of 2,000 it is 3.1 %."""
    key = SeriesKey(SeriesKind.COVERAGE, "channel=mail", "check_out")
    step = advance([], [shifted(0.142, key=key)], Rule(critical_odds=1.5), context(records=records))
    assert step.alerts[0].severity == expected


def test_votes_count_for_their_part_of_the_records() -> None:
    key = SeriesKey(SeriesKind.OVERLAP, probe="check_out")
    assert affected(shifted(0.5, key=key, expected=0.1), 10_000) == pytest.approx(0.04)


def test_of_a_sum_its_own_share_counts() -> None:
    assert affected(shifted(0.08, scale=8, share=0.2, due=0.09), 0) == pytest.approx(0.11)


def test_a_share_is_never_above_1() -> None:
    assert affected(finding(Verdict.SHIFTED, 1.0, key=COVERAGE, expected=0.01), 10) <= 1


@given(findings())
def test_what_is_affected_is_a_share_whatever_is_found(found: Finding) -> None:
    assert 0 <= affected(found, 5) <= affected(found, 0) <= 1
    assert affected(replace(found, expected=None), 0) == 0
