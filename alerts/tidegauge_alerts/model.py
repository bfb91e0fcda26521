"""Alerts, their transitions, and the rule they follow. Frozen values; nothing here computes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tidegauge_probes.findings import Cause, Copies, Finding, SeriesKey


class AlertState(StrEnum):
    """As in Prometheus: ``pending → firing → resolved``, or ``pending → resolved``.

    A firing alert whose series stays at a new level becomes ``settled``; a resolved one whose
    series shifts again soon fires again.
    """

    PENDING = "pending"  # shifted, not yet for as many windows as the rule asks
    FIRING = "firing"  # notified
    SETTLED = "settled"  # still shifted, and steady: open, but quiet
    RESOLVED = "resolved"  # over, unless it shifts again within the rule's memory


class AlertKind(StrEnum):
    """What the shift looks like."""

    SPIKE = "spike"  # short
    DRIFT = "drift"  # here to stay
    FAULT = "fault"  # an LF fails
    RULE = "rule"  # a rule that somebody wrote does not hold

    @property
    def text(self) -> str:
        """The kind in the words of a message."""
        return _KIND_TEXTS[self]


_KIND_TEXTS = {
    AlertKind.SPIKE: "suspicious activity",
    AlertKind.DRIFT: "time to update",
    AlertKind.FAULT: "probe broken",
    AlertKind.RULE: "rule broken",
}


class Severity(StrEnum):
    """How much of the traffic is affected, and how strongly (:mod:`…lifecycle.grade`)."""

    WARNING = "warning"
    CRITICAL = "critical"


class TransitionReason(StrEnum):
    """Why an alert changed: one reason for each decision of the lifecycle."""

    SHIFTED = "shifted"  # opened: the series left its baseline
    CONFIRMED = "confirmed"  # shifted for as many windows as the rule asks: fires
    ESCALATED = "escalated"  # still firing, and graver: critical now, or a drift
    REVERSED = "reversed"  # still firing, and shifted to the other side of the baseline
    CLEARED = "cleared"  # pending, and quiet again: it never fired
    RECOVERED = "recovered"  # fired, and is back at the baseline
    REDEPLOYED = "redeployed"  # ended by other LFs, or another baseline: nobody knows more
    WITHDRAWN = "withdrawn"  # its rule is not in the stream file any more
    REOPENED = "reopened"  # shifted again to the same side, soon after it had resolved
    SETTLED = "settled"  # still shifted, but steady: this is how the series is now
    MOVED = "moved"  # had settled, and left that level: fires again


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The evidence in one window: a finding's figures, finite or ``None``.

    Shares are 0…1, ``effect`` is an odds ratio, ``rank`` the signed evidence in nats ·2 (see
    :class:`tidegauge_probes.findings.Finding`). An infinite or undefined figure becomes
    ``None``: JSON has no word for it, and a stored alert must be readable again.
    """

    x: int
    n: int
    observed: float | None
    expected: float | None
    low: float | None
    high: float | None
    effect: float | None
    p_value: float | None
    rank: float
    scale: int = 1
    """Number of windows that the test has summed, ending with this one."""
    share: float | None = None
    """The share over these windows."""
    due: float | None = None
    """The share that the baseline expects over these windows."""


def figures_of(finding: Finding) -> dict[str, Any]:
    """Return the fields of :class:`Figures` that *finding* gives."""
    shares = ("observed", "expected", "low", "high", "effect", "p_value", "share", "due")
    return {
        "x": finding.x,
        "n": finding.n,
        "scale": finding.scale,
        **{name: finite(getattr(finding, name)) for name in shares},
        "rank": finite(finding.rank) or 0.0,
    }


def finite(value: float | None) -> float | None:
    """Return *value*, or ``None`` where it is no finite number."""
    return value if value is not None and math.isfinite(value) else None


@dataclass(frozen=True, slots=True)
class Level:
    """A sum of compared windows, each counted with its effective sample size."""

    windows: int = 0
    seen: float = 0.0
    """Number counted out of ``size``: ``seen / size`` is the share."""
    size: float = 0.0
    due: float = 0.0
    """The number that the baseline expects out of ``size``."""
    from_ms: int = 0
    """Start of the first window."""
    growth: float = 1.0
    """By how much more a sum of 64 windows of the series varies than 64 independent ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert(Figures):
    """One episode of one series: from its first shifted window to its last resolve.

    The figures are those of the latest *shifted* window; ``probe_set`` and ``baseline`` say
    what they were computed with. All ``…_window_ms`` are starts of windows, in epoch ms.
    """

    id: str
    """``<fingerprint>-<opened_window_ms>``."""
    fingerprint: str
    """Derived from stream and series: the same for every occurrence."""
    incident: str
    """Shared by the alerts that one cause has opened (:mod:`tidegauge_alerts.incidents`)."""
    stream: str
    key: SeriesKey
    kind: AlertKind
    severity: Severity
    """The highest severity so far; it does not decrease while the alert is open."""
    state: AlertState
    opened_window_ms: int
    fired_window_ms: int | None = None
    resolved_window_ms: int | None = None
    last_window_ms: int
    """The last window in which the series was compared; windows without data do not count."""
    streak: int
    """Shifted windows since it opened, in total."""
    seen: int = 1
    """Compared windows since it opened, and those between a resolve and a re-opening."""
    quiet: int
    """Compared windows in a row without a shift."""
    resolve_score: float
    """Evidence of recovery, in nats: the CUSUM of :mod:`tidegauge_alerts.lifecycle.recovery`."""
    shift: float
    """Log odds ratio where it last opened or changed sides: what recovery is from."""
    probe_set: str
    baseline: str
    rule: str = ""
    """The user rule behind it; none: the scan."""
    cause: Cause | None = None
    """Where the latest shift comes from, if it can be located."""
    copies: Copies | None = None
    """The text whose copies make up part of the latest shift, if one does."""
    reopened: int = 0
    """How often it shifted again soon after a resolve."""
    reopened_window_ms: int | None = None
    """The last of these windows."""
    restarted_window_ms: int | None = None
    """The window of its last resolve, also after a re-opening: the scan restarted after it."""
    recovered: bool = False
    """Whether its last resolve was a recovery. Else it was withdrawn, and is not re-opened."""
    told: bool = False
    """Whether receivers were notified of its incident by this alert, and not yet of the end."""
    root: bool = True
    """Whether its incident began with it; else it is one of the series that moved along."""
    onset_ms: int = 0
    """Start of the first window of the sum that it was found by: about when the shift began."""
    earlier: Level = Level()
    lately: Level = Level()
    """The windows since it last opened, in two blocks, of which the second is being filled."""
    settled: Level | None = None
    """The new level, while the alert is settled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition(Figures):
    """One change of an alert. Append-only; the figures are those of the window it happened in.

    Of ``redeployed`` they are those of the last shifted window: nothing was compared any more.
    """

    alert_id: str
    from_state: AlertState | None
    to_state: AlertState
    reason: TransitionReason
    window_start_ms: int
    kind: AlertKind
    severity: Severity
    silent: bool = False
    """Whether receivers are not notified, because they know of the episode already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """When an alert fires, escalates and resolves, and whom it tells.

    Raises ValueError for a rule that could never fire or never resolve.
    """

    name: str = ""
    """The rule as the user wrote it; none: the scan's."""
    for_windows: int = 1
    """Shifted windows until it fires. One is enough: the test over all series already keeps
    false alarms to the budget."""
    quiet_windows: int = 3
    """Compared windows in a row without a shift, before it may resolve …"""
    resolve_nats: float = 6.9
    """… and the evidence it takes: e^6.9 ≈ 1,000 to 1 for the baseline. 0 asks for none."""
    step_clip: tuple[float, float] = (-4.0, 2.0)
    """Nats that one window may take away or add, so that none decides alone."""
    drift_after: int = 8
    """Shifted windows after which a spike is a drift, if they are half of those compared."""
    critical_odds: float = 2.0
    """Odds ratio from which (and from whose inverse) an alert may be critical …"""
    critical_share: float = 0.05
    """… and the share of all records that must be affected."""
    memory_windows: int = 64
    """Windows after a resolve in which the same shift re-opens the alert. 0: never."""
    settle_windows: int = 64
    """Compared windows at one level after which an alert is settled. 0: never."""
    receivers: tuple[str, ...] = ()
    budget: float = 0.5
    """Expected false episodes per 1,000 windows. The detector applies it; kept here for lineage."""

    def __post_init__(self) -> None:
        counts = (self.for_windows, self.quiet_windows, self.drift_after)
        if min(counts) < 1:
            raise ValueError("for_windows, quiet_windows and drift_after must be at least 1")
        low, high = self.step_clip
        if not low < 0 < high:
            raise ValueError(f"step_clip must go from below to above 0, not {self.step_clip}")
        if not 0 <= self.resolve_nats < math.inf:
            raise ValueError(f"resolve_nats must not be negative, but is {self.resolve_nats}")
        if not self.critical_odds > 1:
            raise ValueError(f"critical_odds must be above 1, not {self.critical_odds}")
        if not 0 <= self.critical_share <= 1:
            raise ValueError(f"critical_share must be 0 to 1, not {self.critical_share}")
        if self.memory_windows < 0:
            raise ValueError(f"memory_windows must not be negative, but is {self.memory_windows}")
        if self.settle_windows < 0 or self.settle_windows == 1:
            raise ValueError(f"settle_windows must be 0, or at least 2, not {self.settle_windows}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The window being evaluated, and what with. Times in epoch ms, lengths in ms."""

    stream: str
    window_start_ms: int
    window_ms: int
    probe_set: str
    baseline: str
    records: int = 0
    """Number of records in the window, to compute what share a series is of them. 0: not known."""
