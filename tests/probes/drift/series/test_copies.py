"""How much of a shift is copies of one text."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.probes.simulation import layout_of
from tidegauge_probes.counts import panes
from tidegauge_probes.counts.panes import DistinctCounts
from tidegauge_probes.counts.text_sample import FrequentText
from tidegauge_probes.drift.series.copies import copies_of
from tidegauge_probes.findings import ALL, Copies, Finding, SeriesKey, SeriesKind, Verdict

SLOGAN = FrequentText(0x1F3C, 50, b"\xff\x01")
LAYOUT = layout_of(2)


def distinct(*frequent: FrequentText) -> DistinctCounts:
    return DistinctCounts(panes.empty(2, 2), 1_000, 951, 0, frequent)


def copies(text: FrequentText, share: float) -> Copies:
    return Copies(text.name, text.copies, min(share, 1.0))


def finding(kind: SeriesKind, x: int, expected: float, probe: str = "lf1") -> Finding:
    key = SeriesKey(kind, ALL, probe)
    return Finding(key, 0, x, 1_000, Verdict.SHIFTED, observed=x / 1_000, expected=expected)


def test_the_worked_example() -> None:
    found = copies_of(finding(SeriesKind.COVERAGE, 98, 0.05), distinct(SLOGAN), LAYOUT)
    assert found == copies(SLOGAN, 49 * 0.95 / 48)


def test_a_text_on_which_the_lf_abstains_makes_its_share_fall() -> None:
    flood = replace(SLOGAN, copies=500)
    found = copies_of(finding(SeriesKind.COVERAGE, 100, 0.2, "lf0"), distinct(flood), LAYOUT)
    assert found == copies(flood, 499 * 0.2 / 100)


def test_copies_against_the_shift_are_no_part_of_it() -> None:
    assert (
        copies_of(finding(SeriesKind.COVERAGE, 98, 0.05, "lf0"), distinct(SLOGAN), LAYOUT) is None
    )


def test_the_blind_spot_grows_by_copies_that_no_lf_knows() -> None:
    unknown = FrequentText(1, 300, b"\xff\xff")
    shift = finding(SeriesKind.BLIND_SPOT, 700, 0.5, "")
    found = copies_of(shift, distinct(SLOGAN, unknown), LAYOUT)
    assert found == copies(unknown, 299 * 0.5 / 200)


def test_failures_count_as_failures_only() -> None:
    failed = FrequentText(1, 300, b"\xff\xfe")
    assert copies_of(finding(SeriesKind.ERROR, 300, 0.0), distinct(failed), LAYOUT) is not None
    assert copies_of(finding(SeriesKind.COVERAGE, 300, 0.0), distinct(failed), LAYOUT) is None


def test_the_series_of_copies_names_its_text() -> None:
    found = copies_of(finding(SeriesKind.COPIES, 310, 0.01, ""), distinct(SLOGAN), LAYOUT)
    assert found is None, "5 % of the records are not the reason"
    many = replace(SLOGAN, copies=310)
    found = copies_of(finding(SeriesKind.COPIES, 310, 0.01, ""), distinct(many), LAYOUT)
    assert found == copies(many, 0.31)


@pytest.mark.parametrize(
    "other",
    [
        replace(finding(SeriesKind.COVERAGE, 98, 0.05), scale=8),
        finding(SeriesKind.POLARITY, 98, 0.05),
        finding(SeriesKind.COVERAGE, 50, 0.05),
        replace(
            finding(SeriesKind.COVERAGE, 98, 0.05), key=SeriesKey(SeriesKind.COVERAGE, "a=b", "lf1")
        ),
        Finding(SeriesKey(SeriesKind.COVERAGE, ALL, "lf1"), 0, 0, 0, Verdict.NO_DATA),
    ],
)
def test_nothing_is_said_of_what_is_not_known(other: Finding) -> None:
    assert copies_of(other, distinct(SLOGAN), LAYOUT) is None
