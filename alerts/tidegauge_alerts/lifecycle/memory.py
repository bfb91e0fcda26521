"""One permanent shift is one episode: which resolved alert a shift re-opens, and what that costs.

A series that wavers around its threshold would open an alert, resolve it and open the next for
as long as the shift lasts. So a shift that follows soon on a resolve, to the same side, is the
same episode; and each time it happens the next resolve takes twice the evidence.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from tidegauge_alerts.lifecycle.level import log_odds, merged
from tidegauge_alerts.lifecycle.recovery import log_odds_shift
from tidegauge_alerts.model import Alert, AlertState, Context, Rule
from tidegauge_probes.findings import Finding

MOST_DOUBLINGS: Final = 4
"""So that it can always end: at most 48 quiet windows and 110 nats, by the default rule."""


def remembered(
    alerts: Iterable[Alert], finding: Finding, rule: Rule, context: Context
) -> Alert | None:
    """Return the alert that a shifted series re-opens: the last that fired and resolved; or None.

    *alerts*: of the rule, measured with what the window is measured with. One that was withdrawn,
    as by a deployment, never recovered: after a roll-back its shift is news.
    """
    up = log_odds_shift(finding) > 0
    mine = [
        alert
        for alert in alerts
        if alert.key == finding.key
        and alert.fired_window_ms is not None
        and alert.recovered
        and (alert.shift > 0) is up
        and _recent(alert, rule, context)
    ]
    return max(mine, key=lambda alert: (alert.resolved_window_ms or 0, alert.id), default=None)


def _recent(alert: Alert, rule: Rule, context: Context) -> bool:
    if alert.state is not AlertState.RESOLVED or alert.resolved_window_ms is None:
        return False
    since = context.window_start_ms - alert.resolved_window_ms
    return 0 < since <= rule.memory_windows * context.window_ms


def may_resolve(alert: Alert, rule: Rule) -> bool:
    """Tell whether it has been quiet for long enough, and the evidence is enough.

    >>> [round(6.9 * 2**k, 1) for k in range(5)], [3 * 2**k for k in range(5)]
    ([6.9, 13.8, 27.6, 55.2, 110.4], [3, 6, 12, 24, 48])
    """
    more = 2 ** min(alert.reopened, MOST_DOUBLINGS)
    long_enough = alert.quiet >= rule.quiet_windows * more
    sure = alert.resolve_score >= rule.resolve_nats * more
    nearer = not alert.reopened or _is_nearer(alert, rule.quiet_windows * more)
    return long_enough and sure and nearer


def _is_nearer(alert: Alert, enough: int) -> bool:
    """Tell whether the latest windows since it re-opened sum up to the baseline, not to the shift.

    So the few quiet windows of a series that wavers do not do. Of the two sums the later alone
    decides once it has *enough* windows: what recovers after a long shift need not outweigh that.
    """
    both = merged(alert.earlier, alert.lately)
    level = alert.lately if alert.lately.windows >= enough else both
    return not level.windows or log_odds(level) / alert.shift < 1 / 2
