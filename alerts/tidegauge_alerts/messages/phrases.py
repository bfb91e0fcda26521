"""Plain words for figures. Names in them come from records: hostile input, cleaned here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from tidegauge_alerts.model import Figures, Level
from tidegauge_probes.findings import (
    ALL,
    BlindCause,
    Blindness,
    Cause,
    CauseKind,
    SeriesKey,
    SeriesKind,
    Skew,
)

MAX_NAME: Final = 100
"""Maximum characters of a probe, class or stream name in a text."""

MOST_NAMED: Final = 5
"""Maximum LFs that one sentence names."""

MAX_SEGMENT: Final = 200
"""Maximum characters of a segment in a text: a field's name and one of its values."""


def clean(text: str, limit: int = MAX_NAME) -> str:
    r"""Return *text* on one line, without invisible characters, at most *limit* long.

    Spaces of all kinds (line breaks, tabs) become a space. What else cannot be printed becomes
    U+FFFD: control characters, lone surrogates, and the marks that reverse or hide text (Unicode
    category Cf; Boucher and Anderson 2021, Trojan Source).

    >>> clean("LF\r\nFrom: boss\x1b[2J"), clean("abcdef", 4)
    ('LF  From: boss�[2J', 'abc…')
    """
    shown = "".join(
        " " if c.isspace() else c if c.isprintable() else "\ufffd" for c in text[: limit + 1]
    )
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def percent(share: float) -> str:
    """Return a share (0…1) as a percentage without its sign, as exact as it is worth reading.

    0 and 100 are said of nothing else.

    >>> [percent(p) for p in (0, 0.00004, 0.0004, 0.081, 0.3, 0.9996, 1)]
    ['0', '<0.01', '0.04', '8.1', '30', '>99.9', '100']
    """
    value = share * 100
    if 0 < value < 0.01:  # noqa: PLR2004
        return "<0.01"
    if 99.9 < value < 100:  # noqa: PLR2004
        return ">99.9"
    return f"{value:.2g}" if 0 < value < 1 else f"{value:.1f}".removesuffix(".0")


def sentence(key: SeriesKey, figures: Figures, *, rule: str = "", over: bool = False) -> str:
    """Return what happened to a series of the scan, or of somebody's rule.

    >>> shares = dict(x=4, n=1000, observed=.004, expected=.09, low=.05, high=.14)
    >>> figures = Figures(**shares, effect=.04, p_value=1e-9, rank=-90.)
    >>> sentence(SeriesKey(SeriesKind.COVERAGE, probe="a"), figures, rule="coverage of a below 1 %")
    'coverage of a below 1 %: 0.4 %'
    """
    if not rule:
        return recovery(key, figures) if over else change(key, figures)
    now = "no data" if figures.observed is None else f"{percent(figures.observed)} %"
    return f"{clean(rule, MAX_SEGMENT)}{' no longer' if over else ''}: {now}"


def because(cause: Cause | None) -> str:
    """Return where a shift comes from, to follow a sentence; empty if it cannot be located.

    >>> because(Cause(CauseKind.WITHIN, "channel", "channel=mail", 0.84, 0.49, confirmed=True))
    ', 84 % of it within channel=mail (49 % of the volume)'
    >>> because(Cause(CauseKind.MIX, "channel", "", 0.91, 1.0))
    ', 91 % of it due to a different mix of channel (to be confirmed)'
    >>> because(Cause(CauseKind.CLASSES, "spam", "", 0.97, 0.19, confirmed=True))
    ', 97 % of it due to a different mix of classes (spam now 19 %)'
    >>> because(Cause(CauseKind.CLASSES, "spam", "", 0.97, 0.0, confirmed=True, ratio=2.31))
    ', 97 % of it due to a different mix of classes (spam 2.3 times as common)'
    """
    if cause is None:
        return ""
    field, share = clean(cause.field), percent(min(cause.share, 1.0))
    if cause.kind is CauseKind.WITHIN:
        segment, weight = clean(cause.segment, MAX_SEGMENT), percent(cause.weight)
        found = f", {share} % of it within {segment} ({weight} % of the volume)"
    elif cause.kind is CauseKind.CLASSES:
        now = f"{field} now {percent(cause.weight)} %"
        if not cause.weight and cause.ratio is not None:
            now = f"{field} {cause.ratio:.2g} times as common"
        found = f", {share} % of it due to a different mix of classes ({now})"
    elif cause.kind is CauseKind.MIX:
        found = f", {share} % of it due to a different mix of {field}"
    else:
        found = f", due to a different mix of {field}: each value by itself moved the other way"
    return found if cause.confirmed else f"{found} (to be confirmed)"


def change(key: SeriesKey, figures: Figures) -> str:
    """Return what happened to a series, as a sentence without its end.

    >>> shares = dict(x=631, n=1000, observed=.631, expected=.348, low=.3, high=.4)
    >>> figures = Figures(**shares, effect=3.2, p_value=1e-9, rank=300.)
    >>> change(SeriesKey(SeriesKind.BLIND_SPOT), figures)
    'Blind spot 34.8 % → 63.1 % of records (expected 30–40 %)'
    >>> change(SeriesKey(SeriesKind.COVERAGE, "party=D", "check_out"), figures)
    "Coverage of LF 'check_out' 34.8 % → 63.1 % in segment party=D (expected 30–40 %)"
    """
    if figures.observed is None or figures.expected is None:
        return f"{subject(key)} shifted{_place(key)}"
    if figures.scale > 1 and figures.share is not None:
        # The band is that of one window; a sum of many has a narrower one.
        moved = f"{percent(figures.expected)} % → {percent(figures.share)} %"
        over = f" over the last {figures.scale} windows"
        return f"{subject(key)} {moved}{_unit(key)}{_place(key)}{over}"
    moved = f"{percent(figures.expected)} % → {percent(figures.observed)} %"
    return f"{subject(key)} {moved}{_unit(key)}{_place(key)}{_band(figures)}"


def recovery(key: SeriesKey, figures: Figures) -> str:
    """Return that a series is back, as a sentence without its end: 'Blind spot is back at 35 %'."""
    if figures.observed is None:
        return f"{subject(key)} is back at its baseline{_place(key)}"
    now = f"is back at {percent(figures.observed)} %"
    return f"{subject(key)} {now}{_unit(key)}{_place(key)}{_band(figures)}"


def redeployed(key: SeriesKey, *, rule: str = "") -> str:
    """Return that a series is followed with other LFs or another baseline from now on.

    >>> redeployed(SeriesKey(SeriesKind.BLIND_SPOT))
    'Blind spot starts over: other LFs or another baseline were deployed'
    """
    what = clean(rule, MAX_SEGMENT) if rule else subject(key) + _place(key)
    return f"{what} starts over: other LFs or another baseline were deployed"


def settled(key: SeriesKey, level: Level) -> str:
    """Return at which level a series has stayed, as a sentence without its end.

    >>> settled(SeriesKey(SeriesKind.BLIND_SPOT), Level(64, seen=4_310, size=10_000, due=2_790))
    'Blind spot has settled at 43.1 % of records, where the baseline expects 27.9 %, for 64 windows'
    """
    if level.size <= 0:
        return f"{subject(key)} has settled at a new level{_place(key)}"
    now, due = percent(level.seen / level.size), percent(level.due / level.size)
    at = f"has settled at {now} %{_unit(key)}{_place(key)}"
    return f"{subject(key)} {at}, where the baseline expects {due} %, for {level.windows} windows"


def skewed(skew: Skew) -> str:
    """Return how training data and live traffic differ in a series.

    >>> skewed(Skew(SeriesKey(SeriesKind.COVERAGE, probe="prize"), .05, .012, .23, 1e-6))
    "Coverage of LF 'prize' 5 % of the training data, 1.2 % live"
    """
    key, trained, live = skew.key, percent(skew.trained), percent(skew.live)
    return f"{subject(key)}{_place(key)} {trained} % of the training data, {live} % live"


def names(key: SeriesKey) -> dict[str, str]:
    """Return the parts of a series' name as messages hold them."""
    return {
        "series": str(key.series),
        "probe": clean(key.probe),
        "other": clean(key.other),
        "segment": clean(key.segment, MAX_SEGMENT),
        "label": clean(key.label),
    }


def subject(key: SeriesKey) -> str:
    """Return what a series is about: "Coverage of LF 'check_out'"."""
    lf, other = f"LF '{clean(key.probe)}'", clean(key.other)
    pair = f"LFs '{clean(key.probe)}' and '{other}'"
    subjects = {
        SeriesKind.BLIND_SPOT: "Blind spot",
        SeriesKind.COVERAGE: f"Coverage of {lf}",
        SeriesKind.POLARITY: f"Votes for '{clean(key.label)}' of {lf}",
        SeriesKind.OVERLAP: f"Overlap of {lf}",
        SeriesKind.CONFLICT: f"Conflict of {lf}",
        SeriesKind.ERROR: f"Failures of {lf}",
        SeriesKind.CO_VOTE: f"Co-votes of {pair}",
        SeriesKind.AGREEMENT: f"Agreement of {pair}",
        SeriesKind.CLASS_SHARE: f"Estimated share of class '{clean(key.label)}'",
        SeriesKind.PRECISION: f"Estimated precision of {lf} for '{clean(key.label)}'",
    }
    return subjects[key.series]


_OF_VOTES: Final = (SeriesKind.POLARITY, SeriesKind.OVERLAP, SeriesKind.CONFLICT)
_OF_RECORDS: Final = (
    SeriesKind.BLIND_SPOT,
    SeriesKind.ERROR,
    SeriesKind.CO_VOTE,
    SeriesKind.CLASS_SHARE,
)


def _unit(key: SeriesKey) -> str:
    """Return what the share is of, where the series' name does not say it."""
    if key.series in _OF_RECORDS:
        return " of records"
    return " of its votes" if key.series in _OF_VOTES else ""


def _place(key: SeriesKey) -> str:
    return "" if key.segment == ALL else f" in segment {clean(key.segment, MAX_SEGMENT)}"


def _band(figures: Figures) -> str:
    if figures.low is None or figures.high is None:
        return ""
    return f" (expected {percent(figures.low)}–{percent(figures.high)} %)"


def blind(found: Sequence[Blindness]) -> list[str]:
    """Return what a stream cannot see, and what to do; LFs that fail for one reason together.

    >>> blind([Blindness(BlindCause.BLIND_SPOT, .97)])
    ['No LF votes on 97 % of the records. Check that the LFs read fields that the records have']
    """
    failing: dict[tuple[str, ...], list[Blindness]] = {}
    other = []
    for one in found:
        if one.cause is BlindCause.LF_FAILS:
            failing.setdefault(_reason(one), []).append(one)
        else:
            other.append(_blind(one))
    return [_failing(some) for some in failing.values()] + other


def _reason(one: Blindness) -> tuple[str, ...]:
    """Return why an LF fails: for a missing field, templates and Python name different errors."""
    return (one.missing, one.path) if one.missing else (one.fault, one.message)


def failures(shares: Mapping[str, float]) -> str:
    """Return which LFs fail on a part of the records, the worst first; empty if none does.

    >>> failures({"prize": 0.08, "links": 0.3})
    "'links' on 30 %, 'prize' on 8 % of the records"
    """
    ordered = sorted(shares.items(), key=lambda item: (-item[1], item[0]))
    named = [f"'{clean(name)}' on {percent(share)} %" for name, share in ordered[:MOST_NAMED]]
    more = f" and {len(ordered) - MOST_NAMED} more" if len(ordered) > MOST_NAMED else ""
    return f"{', '.join(named)} of the records{more}" if named else ""


def _blind(one: Blindness) -> str:
    if one.cause is BlindCause.BLIND_SPOT:
        return (
            f"No LF votes on {percent(one.share)} % of the records. Check that the LFs "
            "read fields that the records have"
        )
    if one.cause is BlindCause.NO_SEGMENTS:
        return (
            f"None of the latest records has a value at '{clean(one.missing)}' "
            "(`segment_by`), so drift in its segments goes undetected. Check the path "
            "in the stream file"
        )
    if one.fault == "late":
        return (
            "Every record is late, so none is counted. Check that `record.timestamp` is "
            "the right field, and whether an earlier record had a time far in the "
            "future"
        )
    return (
        f"No input could be read as a record; most are '{clean(one.fault)}'. Compare "
        "`record` in the stream file with the dead letters"
    )


def _failing(some: Sequence[Blindness]) -> str:
    """Return why some LFs fail, in one sentence for all of them."""
    first = some[0]
    names = ", ".join(f"'{clean(one.probe)}'" for one in some[:MOST_NAMED])
    names += f" and {len(some) - MOST_NAMED} more" if len(some) > MOST_NAMED else ""
    what = f"LF {names} fails" if len(some) == 1 else f"{len(some)} LFs ({names}) fail"
    share = f"on {percent(max(one.share for one in some))} % of the records"
    if first.path:
        return f"{what} {share}: `record.text` finds nothing at '{clean(first.path)}'"
    if first.missing:
        return f"{what} {share}: the records have no field '{clean(first.missing)}'"
    return f"{what} {share} ({clean(first.fault)}: {clean(first.message, MAX_SEGMENT)})"
