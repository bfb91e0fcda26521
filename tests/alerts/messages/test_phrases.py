from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.alerts.strategies import keys, shares
from tidegauge_alerts import Figures, Status, headline
from tidegauge_alerts.messages.phrases import because, change, clean, copied, percent, recovery
from tidegauge_probes.findings import Cause, CauseKind, Copies, SeriesKey, SeriesKind, ValueShare


def figures(
    expected: float | None = 0.348, observed: float | None = 0.631, **changes: float | None
) -> Figures:
    values = {"low": 0.3, "high": 0.4, "effect": 3.2, "p_value": 1e-9, **changes}
    given: dict[str, Any] = {"expected": expected, "observed": observed, **values}
    return Figures(x=631, n=1000, rank=1.0, **given)


def test_a_shift_that_many_windows_show_says_how_many() -> None:
    summed = replace(figures(), scale=16, share=0.41)
    assert change(SeriesKey(SeriesKind.BLIND_SPOT), summed) == (
        "Blind spot 34.8 % → 41 % of records over the last 16 windows"
    )


@pytest.mark.parametrize(
    ("key", "sentence"),
    [
        (SeriesKey(SeriesKind.BLIND_SPOT), "Blind spot 34.8 % → 63.1 % of records"),
        (
            SeriesKey(SeriesKind.COVERAGE, probe="check_out"),
            "Coverage of LF 'check_out' 34.8 % → 63.1 %",
        ),
        (
            SeriesKey(SeriesKind.POLARITY, probe="short", label="spam"),
            "Votes for 'spam' of LF 'short' 34.8 % → 63.1 % of its votes",
        ),
        (
            SeriesKey(SeriesKind.OVERLAP, probe="short"),
            "Overlap of LF 'short' 34.8 % → 63.1 % of its votes",
        ),
        (
            SeriesKey(SeriesKind.CONFLICT, probe="short"),
            "Conflict of LF 'short' 34.8 % → 63.1 % of its votes",
        ),
        (
            SeriesKey(SeriesKind.ERROR, probe="short"),
            "Failures of LF 'short' 34.8 % → 63.1 % of records",
        ),
        (
            SeriesKey(SeriesKind.CO_VOTE, probe="a", other="b"),
            "Co-votes of LFs 'a' and 'b' 34.8 % → 63.1 % of the votes of 'a'",
        ),
        (
            SeriesKey(SeriesKind.AGREEMENT, probe="a", other="b"),
            "Agreement of LFs 'a' and 'b' 34.8 % → 63.1 %",
        ),
        (
            SeriesKey(SeriesKind.CLASS_SHARE, label="spam"),
            "Estimated share of class 'spam' 34.8 % → 63.1 % of records",
        ),
        (
            SeriesKey(SeriesKind.PRECISION, probe="model", label="spam"),
            "Estimated precision of LF 'model' for 'spam' 34.8 % → 63.1 %",
        ),
        (
            SeriesKey(SeriesKind.SEGMENT_SHARE, "party=D"),
            "Share of party=D 34.8 % → 63.1 % of records",
        ),
        (
            SeriesKey(SeriesKind.SEGMENT_SHARE, "party=_other"),
            "Other values of party 34.8 % → 63.1 % of records",
        ),
    ],
)
def test_each_series_has_its_sentence(key: SeriesKey, sentence: str) -> None:
    assert change(key, figures()) == f"{sentence} (expected 30–40 %)"


def test_every_kind_of_series_has_one() -> None:
    for kind in SeriesKind:
        if kind is SeriesKind.VOLUME:  # of VOLUME_OF records, not in %
            assert "3,480,000,000 → 6,310,000,000" in change(SeriesKey(kind), figures())
        else:
            assert "34.8 % → 63.1 %" in change(SeriesKey(kind), figures())


def test_a_segment_is_named() -> None:
    key = SeriesKey(SeriesKind.COVERAGE, "party=D", "check_out")
    assert change(key, figures(0.081, 0.004, low=None)) == (
        "Coverage of LF 'check_out' 8.1 % → 0.4 % in segment party=D"
    )


def test_without_figures_there_are_no_numbers() -> None:
    key = SeriesKey(SeriesKind.BLIND_SPOT, "party=D")
    assert change(key, figures(None, 0.5)) == "Blind spot shifted in segment party=D"
    assert change(key, figures(0.5, None)) == "Blind spot shifted in segment party=D"
    assert recovery(key, figures(0.5, None)) == (
        "Blind spot is back at its baseline in segment party=D"
    )


def test_a_recovery_says_where_it_is_now() -> None:
    assert recovery(SeriesKey(SeriesKind.BLIND_SPOT), figures(0.348, 0.35)) == (
        "Blind spot is back at its baseline: 35 % of records in the last window (expected 30–40 %)"
    )


def test_a_sum_is_compared_with_what_was_expected_of_the_same_windows() -> None:
    """By night few records come, by day many: of both together the mean is expected."""
    night = figures(2e-8, 5e-9)
    fell = replace(night, scale=7, share=5.5e-9, due=1.1e-8)
    assert change(SeriesKey(SeriesKind.VOLUME), fell) == (
        "Volume 110 → 55 records a window over the last 7 windows"
    )


def test_values_and_copies_are_of_the_last_window_whatever_the_sentence_is_of() -> None:
    value = ValueShare("country=AA", 0.0, 0.304)
    new = Cause(
        CauseKind.VALUES, "country", "country=AA", 1.0, 0.3, confirmed=True, values=(value,)
    )
    assert because(new, scale=2) == (
        ", of which country=AA 0 → 30.4 % of records (new) in the last window"
    )
    text = Copies("76b7b83d95c93f97", 50, 0.362)
    assert copied(SeriesKey(SeriesKind.COPIES), text, scale=2) == (
        ": one text (76b7b83d95c93f97) makes up 36.2 % of records of the last window (50)"
    )


def test_a_headline_counts_the_others() -> None:
    assert headline(["A", "B"], Status.FIRING) == "A, with 1 more series shifted"
    assert headline(["A"] * 8, Status.RESOLVED) == "A, with 7 more series resolved"
    assert headline(["A"], Status.FIRING) == "A"


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0, "0"),
        (1.0, "100"),
        (0.0001, "0.01"),
        (0.00009, "<0.01"),
        (0.004, "0.4"),
        (0.0123, "1.2"),
        (0.5, "50"),
        (0.9989, "99.9"),
        (0.9991, ">99.9"),
    ],
)
def test_percentages_are_as_exact_as_worth_reading(share: float, text: str) -> None:
    assert percent(share) == text


@given(shares)
def test_nothing_and_everything_are_said_of_nothing_else(share: float) -> None:
    assert (percent(share) == "0") is (share == 0)
    assert (percent(share) == "100") is (share * 100 == 100)
    assert "e" not in percent(share)


HOSTILE = "x\r\nX-Evil: 1\x00\x1b[2J\u202egpj\u2028\ud800" + "y" * 1000


def test_hostile_names_stay_on_one_line_and_visible() -> None:
    assert clean(HOSTILE, 30) == "x  X-Evil: 1\ufffd\ufffd[2J\ufffdgpj \ufffdyyyyyy…"


def test_a_text_that_fits_is_not_cut() -> None:
    assert clean("abcd", 4) == "abcd"
    assert clean("abcde", 4) == "abc…"
    assert clean("") == ""


@given(st.text(), st.integers(1, 50))
def test_cleaned_text_is_printable_and_short(text: str, limit: int) -> None:
    cleaned = clean(text, limit)
    assert cleaned.isprintable()
    assert len(cleaned) <= limit
    cleaned.encode()


@given(keys)
def test_sentences_are_printable_and_bounded_whatever_the_names(key: SeriesKey) -> None:
    many = (name * 200 for name in (key.segment, key.probe, key.other, key.label))
    long = SeriesKey(key.series, *many)
    for sentence in (change(long, figures()), recovery(long, figures())):
        assert sentence.isprintable()
        assert len(sentence) < 600
