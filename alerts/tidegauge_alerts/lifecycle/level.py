"""At which level a shifted series is, and whether it has settled there.

The windows since an alert last opened are kept as two sums: ``earlier``, and ``lately``, which is
being filled. When both are full and neither differs from the other by as much as a test sees,
the shift is permanent: the alert settles at their sum. From then on it is the level that later
windows are compared with; the baseline still is what the series can return to.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

from tidegauge_alerts.lifecycle.recovery import inside, moved, size_of
from tidegauge_alerts.model import Alert, AlertKind, Level, Rule, finite
from tidegauge_probes.findings import Finding

SEES: Final = 4.8
"""Standard errors from which sums differ: what the scan asks of one of some ninety series. The
sums are of effective samples, so that windows may vary as much as they did in the baseline, and
for as long: noise that lasts makes sums of neighbours vary more (``_growth``)."""

WORTH: Final = 0.10
"""Log odds below which no difference is worth a message, as in the scan."""

NOTHING: Final = Level()

REACH: Final = 64
"""Windows that the baseline's curve reaches to."""

LONGEST: Final = 64
"""Windows that are summed by a rule whose alerts never settle."""


def plus(level: Level, finding: Finding) -> Level:
    """Return the sum with one more window; unchanged if there is nothing to compare."""
    finding = finding.tested
    expected, size = finite(finding.expected), min(size_of(finding), float(finding.n))
    if expected is None or size <= 0:
        return level
    return Level(
        level.windows + 1,
        level.seen + size * finding.x / finding.n,
        level.size + size,
        level.due + size * expected,
        level.from_ms if level.windows else finding.window_start_ms,
        max(finite(finding.growth) or 1.0, 1.0),
    )


def merged(one: Level, later: Level) -> Level:
    """Return the sum of two sums."""
    return Level(
        one.windows + later.windows,
        one.seen + later.seen,
        one.size + later.size,
        one.due + later.due,
        one.from_ms if one.windows else later.from_ms,
        max(one.growth, later.growth),
    )


def log_odds(level: Level) -> float:
    """Return how far a level is off what the baseline expects of its windows.

    >>> round(log_odds(Level(32, seen=2_000, size=10_000, due=1_000)), 2)  # 20 % instead of 10 %
    0.81
    """
    seen, others = level.seen + 0.5, level.size - level.seen + 0.5
    due, not_due = level.due + 0.5, level.size - level.due + 0.5
    return math.log(seen / others) - math.log(due / not_due)


def differ(one: Level, other: Level) -> bool:
    """Tell whether two levels differ by enough to be seen, and to matter.

    By the likelihood ratio against one shift for both, which holds for small counts, too.

    >>> low, high = Level(32, 1_000, 10_000, 1_000), Level(32, 1_300, 10_000, 1_000)
    >>> differ(low, high), differ(low, Level(1, 5, 38, 3.8))
    (True, False)
    """
    common = log_odds(merged(one, other))
    apart = math.sqrt(_deviance(one, common) + _deviance(other, common))
    return abs(log_odds(one) - log_odds(other)) >= WORTH and apart >= SEES


def is_off(level: Level) -> bool:
    """Tell whether a level is off the baseline, and not only by chance."""
    return abs(log_odds(level)) >= WORTH and math.sqrt(_deviance(level, 0.0)) >= SEES


def followed(alert: Alert, finding: Finding, rule: Rule) -> Alert:
    """Return the alert with one more window in its sums."""
    lately = plus(alert.lately, finding)
    if alert.lately.windows < _half(rule) or lately == alert.lately:
        return replace(alert, lately=lately)
    return replace(alert, earlier=alert.lately, lately=plus(NOTHING, finding))


def anew(alert: Alert, finding: Finding) -> Alert:
    """Return the alert with sums that begin in this window."""
    return replace(alert, earlier=NOTHING, lately=plus(NOTHING, finding), settled=None)


def at_rest(alert: Alert, rule: Rule) -> Level | None:
    """Return the level at which the series has stayed, off its baseline; None if it has not.

    A broken LF is no new normal, and a rule's limit is kept or broken: neither rests.
    """
    half, kinds = _half(rule), (AlertKind.SPIKE, AlertKind.DRIFT)
    full = alert.earlier.windows >= half <= alert.lately.windows
    if not rule.settle_windows or alert.kind not in kinds or not full:
        return None
    both = merged(alert.earlier, alert.lately)
    return both if is_off(both) and not differ(alert.earlier, alert.lately) else None


def settle(alert: Alert, level: Level) -> Alert:
    """Return the alert with a level that later windows are compared with."""
    return replace(alert, settled=level, earlier=NOTHING, lately=NOTHING)


def lowered(alert: Alert, rule: Rule) -> Alert:
    """Return a settled alert at its next level, if it has come nearer to the baseline to stay."""
    before, level = alert.settled, at_rest(alert, rule)
    if before is None or level is None or _outward(level, before) or not differ(level, before):
        return alert
    return settle(alert, level)


def has_left(alert: Alert, finding: Finding) -> bool:
    """Tell whether a settled series has left its level, and not towards the baseline.

    By this window alone, or by the sum of the latest.
    """
    level = alert.settled
    if level is None:
        return False
    parts = (plus(NOTHING, finding), alert.lately, merged(alert.earlier, alert.lately))
    return any(_outward(part, level) and differ(part, level) for part in parts if part.windows)


def _outward(part: Level, level: Level) -> bool:
    now, before = log_odds(part), log_odds(level)
    return now * before < 0 or abs(now) > abs(before)


def _half(rule: Rule) -> int:
    return (rule.settle_windows or LONGEST) // 2


def _deviance(level: Level, shift: float) -> float:
    """Return 2·n·KL(seen ‖ expected), if what is expected is *shift* (log odds) off the baseline.

    The root of it counts standard errors.
    """
    if level.size <= 0:
        return 0.0
    expected = moved(inside(level.due / level.size), shift)
    rate = min(max(level.seen / level.size, 0.0), 1.0)
    apart = _term(rate, expected) + _term(1 - rate, 1 - expected)
    return max(0.0, 2 * level.size / _growth(level) * apart)


def _growth(level: Level) -> float:
    """Return by how much more the sum varies than one of independent windows, G(windows).

    Of the baseline's curve G(64) is known; up to there it is taken to grow like a power.
    """
    return float(level.growth ** (math.log(max(level.windows, 1)) / math.log(REACH)))


def _term(share: float, expected: float) -> float:
    return share * math.log(share / expected) if share > 0 else 0.0
