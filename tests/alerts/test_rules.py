"""Rules that people write: how they are read, and what they make of findings."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.alerts.builders import COVERAGE, DEFAULT, context, finding, nothing
from tidegauge_alerts import Alert, AlertKind, RuleError, advance, parse_rule
from tidegauge_alerts.rules import check_names
from tidegauge_probes.findings import Finding, SeriesKey, SeriesKind, Verdict

BELOW = parse_rule(f"coverage of {COVERAGE.probe} below 1 % for 2 windows")


def follow(shares: list[float | None]) -> list[str]:
    """Return the state after each window of the one alert, "-" where there is none."""
    states: list[str] = []
    alerts: tuple[Alert, ...] = ()
    for window, share in enumerate(shares):
        found = nothing() if share is None else finding(Verdict.OK, share)
        judged = BELOW.evaluate({COVERAGE: at(found, window)})
        alerts = advance(alerts, judged, BELOW.rule, context(window)).alerts
        states.append(str(alerts[0].state) if alerts else "-")
    return states


def at(found: Finding, window: int) -> Finding:
    return replace(found, window_start_ms=context(window).window_start_ms)


def test_it_fires_after_its_windows_and_resolves_after_as_many() -> None:
    low, fine = 0.004, 0.5
    assert follow([fine, low, fine]) == ["-", "pending", "resolved"]
    assert follow([low, low, low]) == ["pending", "firing", "firing"]
    assert follow([low, low, fine, low, fine, fine]) == ["pending", *["firing"] * 4, "resolved"]


def test_without_data_it_says_nothing() -> None:
    assert follow([0.004, None, 0.004]) == ["pending", "pending", "firing"]
    assert BELOW.evaluate({}) == []


@pytest.mark.parametrize(
    ("text", "classes", "fires"),
    [
        ("polarity of lf to SPAM above 80 %", ("HAM", "SPAM"), True),
        ("polarity of lf to HAM below 20 %", ("HAM", "SPAM"), True),
        ("polarity of lf to HAM above 20 %", ("HAM", "SPAM"), False),
        ("polarity of lf to HAM below 20 %", ("HAM", "SPAM", "EGGS"), None),
        ("polarity of other to HAM below 20 %", ("HAM", "SPAM"), None),
        ("precision of lf to HAM below 20 %", ("HAM", "SPAM"), None),
    ],
)
def test_of_two_classes_a_rule_may_name_either(
    text: str,
    classes: tuple[str, ...],
    fires: bool | None,  # noqa: FBT001
) -> None:
    """Only the second is followed; the first is what is left of it."""
    key = SeriesKey(SeriesKind.POLARITY, probe="lf", label="SPAM")
    followed = {
        key: replace(finding(Verdict.OK, 0.9), key=key),
        replace(key, series=SeriesKind.PRECISION): finding(Verdict.OK, 0.9),
    }
    judged = parse_rule(text).evaluate(followed, classes)
    expected = {True: [Verdict.SHIFTED], False: [Verdict.OK], None: []}[fires]
    assert [found.verdict for found in judged] == expected
    assert {found.key for found in judged} <= {key}


@pytest.mark.parametrize("named", ["a and b", "b and a"])
def test_the_lfs_of_a_pair_may_be_named_in_either_order(named: str) -> None:
    """Of a co-vote the baseline names the rarer one first, which nobody knows by heart."""
    key = SeriesKey(SeriesKind.CO_VOTE, probe="b", other="a")
    found = Finding(key, 0, 40, 100, Verdict.OK, observed=0.4)
    [broken] = parse_rule(f"co_vote of {named} above 30 %").evaluate({key: found}, ("A", "B"))
    assert (broken.key, broken.verdict, broken.observed) == (key, Verdict.SHIFTED, 0.4)
    [kept] = parse_rule(f"co_vote of {named} above 50 %").evaluate({key: found}, ("A", "B"))
    assert kept.verdict is Verdict.OK
    assert parse_rule("co_vote of a and c above 1 %").evaluate({key: found}) == []


def test_its_alerts_are_its_own() -> None:
    judged = BELOW.evaluate({COVERAGE: at(finding(Verdict.OK, 0.001), 0)})
    [alert] = advance((), judged, BELOW.rule, context(0)).alerts
    [scanned] = advance((), judged, DEFAULT, context(0)).alerts
    assert (alert.rule, alert.kind) == (BELOW.text, AlertKind.RULE)
    assert alert.id != scanned.id


@pytest.mark.parametrize(
    ("text", "key", "above", "limit", "windows"),
    [
        ("blind_spot above 40%", SeriesKey(SeriesKind.BLIND_SPOT), True, 0.4, 1),
        (
            "blind_spot in channel=mail below 0.5 % for 1 window",
            SeriesKey(SeriesKind.BLIND_SPOT, "channel=mail"),
            False,
            0.005,
            1,
        ),
        (
            "polarity of \"two words\" to 'VERY GOOD' in a=b above 80 % for 12 windows",
            SeriesKey(SeriesKind.POLARITY, "a=b", "two words", label="VERY GOOD"),
            True,
            0.8,
            12,
        ),
        (
            "class_share to SPAM in a=b above 60 %",
            SeriesKey(SeriesKind.CLASS_SHARE, "a=b", label="SPAM"),
            True,
            0.6,
            1,
        ),
        (
            "precision of model to SPAM below 80 % for 3 windows",
            SeriesKey(SeriesKind.PRECISION, probe="model", label="SPAM"),
            False,
            0.8,
            3,
        ),
        (
            "co_vote of a and b above 3.25 %",
            SeriesKey(SeriesKind.CO_VOTE, probe="a", other="b"),
            True,
            0.0325,
            1,
        ),
    ],
)
def test_it_is_read(text: str, key: SeriesKey, above: bool, limit: float, windows: int) -> None:  # noqa: FBT001
    rule = parse_rule(text)
    assert (rule.key, rule.above, rule.windows) == (key, above, windows)
    assert rule.limit == pytest.approx(limit)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("coverage", "write it like this: coverage of"),
        ("coverage of a below 1", "write it like this"),
        ("coverage of a under 1 %", "write it like this"),
        ("coverge of a below 1 %", "no series 'coverge'; choose from blind_spot, coverage"),
        ("coverage below 1 %", "coverage needs 'of LF'"),
        ("coverage of a and b below 1 %", "coverage does not take 'and LF'"),
        ("blind_spot of a above 1 %", "blind_spot does not take 'of LF'"),
        ("polarity of a above 1 %", "polarity needs 'to class'"),
        ("agreement of a below 90 %", "agreement needs 'and LF'"),
        ("agreement of a and b in c=d below 90 %", "over all records only"),
        ("class_share of a to SPAM above 60 %", "class_share does not take 'of LF'"),
        ("precision of a to SPAM in c=d below 90 %", "over all records only"),
        ("coverage of a above 101 %", "0 to 100 %"),
        ("coverage of a above 1 % for 0 windows", "at least 1 window"),
    ],
)
def test_what_is_wrong_is_said(text: str, says: str) -> None:
    with pytest.raises(RuleError, match=says):
        parse_rule(text)


@given(st.text())
def test_any_text_is_a_rule_or_is_refused(text: str) -> None:
    try:
        parse_rule(text)
    except RuleError as error:
        assert "rule" in str(error)  # noqa: PT017


def test_unknown_names_are_refused() -> None:
    check_names(parse_rule("polarity of a to SPAM above 1 %"), ["a"], ["HAM", "SPAM"])
    with pytest.raises(RuleError, match="no LF 'b'; choose from a"):
        check_names(parse_rule("coverage of b above 1 %"), ["a"], ["SPAM"])
    with pytest.raises(RuleError, match="no class 'EGGS'; choose from HAM, SPAM"):
        check_names(parse_rule("polarity of a to EGGS above 1 %"), ["a"], ["HAM", "SPAM"])


def test_a_rule_may_limit_the_share_of_a_value_and_not_the_volume() -> None:
    rule = parse_rule("segment_share in country=AA above 20 %")
    assert rule.key == SeriesKey(SeriesKind.SEGMENT_SHARE, "country=AA")
    with pytest.raises(RuleError, match="needs 'in segment'"):
        parse_rule("segment_share above 20 %")
    with pytest.raises(RuleError, match="volume is a number of records, not a share"):
        parse_rule("volume below 1 %")
    with pytest.raises(RuleError, match=r"choose from (?!.*volume).*segment_share"):
        parse_rule("traffic below 1 %")
