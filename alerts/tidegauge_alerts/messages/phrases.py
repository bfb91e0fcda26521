"""Plain words for figures. Names in them come from records: hostile input, cleaned here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from tidegauge_alerts.model import Alert, Figures, Level
from tidegauge_probes.findings import (
    ALL,
    MISSING,
    OTHER,
    VOLUME_OF,
    BlindCause,
    Blindness,
    Cause,
    CauseKind,
    Copies,
    SeriesKey,
    SeriesKind,
    Skew,
    ValueShare,
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


def because(cause: Cause | None, scale: int = 1) -> str:
    """Return where a shift comes from, to follow a sentence; empty if it cannot be located.

    *scale*: windows that the sentence speaks of. Values are counted in the last one alone.

    >>> because(Cause(CauseKind.WITHIN, "channel", "channel=mail", 0.84, 0.49, confirmed=True))
    ', 84 % of it within channel=mail (49 % of the volume)'
    >>> because(Cause(CauseKind.MIX, "channel", "", 0.91, 1.0))
    ', 91 % of it due to a different mix of channel (to be confirmed)'
    >>> mail = (ValueShare("channel=mail", 0.2, 0.45),)
    >>> because(Cause(CauseKind.MIX, "channel", "", 0.91, 1.0, confirmed=True, values=mail))
    ', 91 % of it due to a different mix of channel (channel=mail 20 → 45 % of the volume)'
    >>> because(Cause(CauseKind.CLASSES, "spam", "", 0.97, 0.19, confirmed=True))
    ', 97 % of it due to a different mix of classes (spam now 19 %)'
    >>> because(Cause(CauseKind.CLASSES, "spam", "", 0.97, 0.0, confirmed=True, ratio=2.31))
    ', 97 % of it due to a different mix of classes (spam 2.3 times as common)'
    >>> values = (ValueShare("country=AA", 0.0, 0.4), ValueShare("country=BB", 0.001, 0.05))
    >>> because(Cause(CauseKind.VALUES, "country", "country=AA", 1.0, 0.4, True, None, values))
    ', of which country=AA 0 → 40 % of records (new), country=BB 0.1 → 5 % of records'
    """
    if cause is None:
        return ""
    if cause.kind is CauseKind.VALUES:
        lately = " in the last window" if scale > 1 else ""
        return f", of which {', '.join(_moved(v, 'records') for v in cause.values)}{lately}"
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
        moved = ", ".join(_moved(value, "the volume") for value in cause.values)
        named = f" ({moved})" if moved else ""
        found = f", {share} % of it due to a different mix of {field}{named}"
    else:
        found = f", due to a different mix of {field}: each value by itself moved the other way"
    return found if cause.confirmed else f"{found} (to be confirmed)"


def copied(key: SeriesKey, copies: Copies | None, scale: int = 1) -> str:
    """Return how much of a shift is copies of one text, to follow a sentence; or nothing.

    *scale*: windows that the sentence speaks of. Copies are counted in the last one alone.

    >>> copied(SeriesKey(SeriesKind.COVERAGE, probe="a"), Copies("1f3c9a0b5d7e2468", 50, 0.38))
    ', 38 % of it from 50 copies of one text (1f3c9a0b5d7e2468)'
    >>> copied(SeriesKey(SeriesKind.COPIES), Copies("1f3c9a0b5d7e2468", 310, 0.3))
    ': one text (1f3c9a0b5d7e2468) makes up 30 % of records (310)'
    """
    if copies is None:
        return ""
    share, text, records = percent(copies.share), clean(copies.text), f"{copies.records:,}"
    if key.series is SeriesKind.COPIES:
        lately = " of the last window" if scale > 1 else ""
        return f": one text ({text}) makes up {share} % of records{lately} ({records})"
    return f", {share} % of it from {records} copies of one text ({text})"


def _moved(value: ValueShare, whole: str) -> str:
    new = "" if value.before else " (new)"
    shares = f"{percent(value.before)} → {percent(value.now)} % of {whole}"
    return f"{clean(value.segment, MAX_SEGMENT)} {shares}{new}"


def change(key: SeriesKey, figures: Figures) -> str:
    """Return what happened to a series, as a sentence without its end.

    >>> shares = dict(x=631, n=1000, observed=.631, expected=.348, low=.3, high=.4)
    >>> figures = Figures(**shares, effect=3.2, p_value=1e-9, rank=300.)
    >>> change(SeriesKey(SeriesKind.BLIND_SPOT), figures)
    'Blind spot 34.8 % → 63.1 % of records (expected 30–40 %)'
    >>> change(SeriesKey(SeriesKind.COVERAGE, "party=D", "check_out"), figures)
    "Coverage of LF 'check_out' 34.8 % → 63.1 % in segment party=D (expected 30–40 %)"
    >>> shares = dict(x=0, n=VOLUME_OF, observed=0., expected=1e-7, low=9e-8, high=1.1e-7)
    >>> change(SeriesKey(SeriesKind.VOLUME), Figures(**shares, effect=0., p_value=0., rank=0.))
    'Volume 1,000 → 0 records a window (expected 900–1,100)'
    """
    if figures.observed is None or figures.expected is None:
        return f"{subject(key)} shifted{_place(key)}"
    if figures.scale > 1 and figures.share is not None:
        # The band is that of one window; a sum of many has a narrower one.
        due = figures.expected if figures.due is None else figures.due
        moved = f"{figure(key, due)} → {figure(key, figures.share)}"
        over = f" over the last {figures.scale} windows"
        return f"{subject(key)} {moved}{_unit(key)}{_place(key)}{over}"
    moved = f"{figure(key, figures.expected)} → {figure(key, figures.observed)}"
    return f"{subject(key)} {moved}{_unit(key)}{_place(key)}{_band(key, figures)}"


def recovery(key: SeriesKey, figures: Figures) -> str:
    """Return that a series is back, as a sentence without its end.

    >>> shares = dict(x=355, n=1000, observed=.355, expected=.348, low=.3, high=.4)
    >>> figures = Figures(**shares, effect=1., p_value=.6, rank=.3)
    >>> recovery(SeriesKey(SeriesKind.BLIND_SPOT), figures)
    'Blind spot is back at its baseline: 35.5 % of records in the last window (expected 30–40 %)'
    """
    back = f"{subject(key)} is back at its baseline{_place(key)}"
    if figures.observed is None:
        return back
    unit = " records" if key.series is SeriesKind.VOLUME else _unit(key)
    unit = "" if key.series is SeriesKind.CO_VOTE else unit  # named before, and long
    now = f"{figure(key, figures.observed)}{unit} in the last window"
    return f"{back}: {now}{_band(key, figures)}"


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
    now, due = (figure(key, part / level.size) for part in (level.seen, level.due))
    at = f"has settled at {now}{_unit(key)}{_place(key)}"
    return f"{subject(key)} {at}, where the baseline expects {due}, for {level.windows} windows"


def episode(alert: Alert) -> str:
    """Return what an alert comes down to: its new level if it has settled, else its last shift."""
    if alert.settled is not None:
        return settled(alert.key, alert.settled)
    shift = sentence(alert.key, alert, rule=alert.rule)
    return shift + origin(alert, alert.scale)


def origin(alert: Alert, scale: int) -> str:
    """Return where the shift of an alert comes from, to follow a sentence about *scale* windows."""
    return copied(alert.key, alert.copies, scale) + because(alert.cause, scale)


def reopenings(times: int) -> str:
    """Return how often an alert reopened; empty if it never did.

    >>> reopenings(0), reopenings(1), reopenings(3)
    ('', 'reopened once', 'reopened 3 times')
    """
    if not times:
        return ""
    return "reopened once" if times == 1 else f"reopened {times} times"


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
        SeriesKind.COPIES: "Copies of texts",
        SeriesKind.CLASS_SHARE: f"Estimated share of class '{clean(key.label)}'",
        SeriesKind.PRECISION: f"Estimated precision of {lf} for '{clean(key.label)}'",
        SeriesKind.VOLUME: "Volume",
        SeriesKind.SEGMENT_SHARE: _share_of(key.segment),
    }
    return subjects[key.series]


def _share_of(segment: str) -> str:
    """Return what a segment's share is about.

    >>> [_share_of(s) for s in ("short_texts", "country=AA", "country=_other", "country=_missing")]
    ['Share of short_texts', 'Share of country=AA', 'Other values of country', 'No country']
    """
    name, _, value = segment.partition("=")
    if value == OTHER:
        return f"Other values of {clean(name)}"
    return f"No {clean(name)}" if value == MISSING else f"Share of {clean(segment, MAX_SEGMENT)}"


def figure(key: SeriesKey, share: float) -> str:
    """Return a share of a series as it is read: in %, but of a volume the records it stands for.

    >>> volume = SeriesKey(SeriesKind.VOLUME)
    >>> figure(volume, 2.345e-7), figure(volume, 2.5e-10)
    ('2,345', '2.5')
    """
    if key.series is not SeriesKind.VOLUME:
        return f"{percent(share)} %"
    records = share * VOLUME_OF
    return f"{records:,.0f}" if records >= 10 else f"{records:.2g}"  # noqa: PLR2004


_OF_VOTES: Final = (SeriesKind.POLARITY, SeriesKind.OVERLAP, SeriesKind.CONFLICT)
_OF_RECORDS: Final = (
    SeriesKind.BLIND_SPOT,
    SeriesKind.ERROR,
    SeriesKind.COPIES,
    SeriesKind.CLASS_SHARE,
    SeriesKind.SEGMENT_SHARE,
)


def _unit(key: SeriesKey) -> str:
    """Return what the share is of, where the series' name does not say it."""
    if key.series is SeriesKind.VOLUME:
        return " records a window"
    if key.series in _OF_RECORDS:
        return " of records"
    if key.series is SeriesKind.CO_VOTE:
        return f" of the votes of '{clean(key.probe)}'"
    return " of its votes" if key.series in _OF_VOTES else ""


def _place(key: SeriesKey) -> str:
    named = key.segment == ALL or key.series is SeriesKind.SEGMENT_SHARE
    return "" if named else f" in segment {clean(key.segment, MAX_SEGMENT)}"


def _band(key: SeriesKey, figures: Figures) -> str:
    if figures.low is None or figures.high is None:
        return ""
    low, high = figure(key, figures.low), figure(key, figures.high)
    return f" (expected {low.removesuffix(' %')}–{high})"


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
