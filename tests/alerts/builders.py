"""Findings, windows and runs of the lifecycle, short enough to be read in a test."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tidegauge_alerts.incidents.membership import grouped
from tidegauge_alerts.incidents.news import announced
from tidegauge_alerts.lifecycle.advance import Advance, advance
from tidegauge_alerts.model import Alert, Context, Rule, Transition
from tidegauge_probes.findings import Finding, Kinship, SeriesKey, SeriesKind, Verdict

HOUR_MS = 3_600_000
NOON_MS = 1_584_273_600_000  # 2020-03-15T12:00:00Z

COVERAGE = SeriesKey(SeriesKind.COVERAGE, probe="check_out")
BLIND_SPOT = SeriesKey(SeriesKind.BLIND_SPOT)
ERRORS = SeriesKey(SeriesKind.ERROR, probe="check_out")

DEFAULT = Rule()

OTHER = {"probe_set": "probes-2", "baseline": "base-2"}


def context(window: int = 0, **changes: Any) -> Context:
    """Return the context of the window *window* hours after noon."""
    values = {
        "stream": "spam",
        "window_start_ms": NOON_MS + window * HOUR_MS,
        "window_ms": HOUR_MS,
        "probe_set": "probes-1",
        "baseline": "base-1",
    }
    return Context(**{**values, **changes})


def finding(
    verdict: Verdict,
    rate: float = 0.08,
    *,
    window: int = 0,
    key: SeriesKey = COVERAGE,
    expected: float = 0.08,
    **changes: Any,
) -> Finding:
    """Return a finding on 1,000 records, of which the share *rate* is counted."""
    n = 1000
    odds = (rate + 0.0005) / (1 - rate + 0.0005) * (1 - expected) / expected
    made = Finding(
        key,
        NOON_MS + window * HOUR_MS,
        round(rate * n),
        n,
        verdict,
        observed=rate,
        expected=expected,
        low=expected * 0.8,
        high=expected * 1.2,
        effect=odds,
        p_value=1e-9 if verdict is Verdict.SHIFTED else 0.5,
        n_eff=500.0,
        rank=(rate - expected) * 1000,
    )
    return replace(made, **changes)


def shifted(rate: float = 0.004, **changes: Any) -> Finding:
    return finding(Verdict.SHIFTED, rate, **changes)


def quiet(rate: float = 0.08, **changes: Any) -> Finding:
    return finding(Verdict.OK, rate, **changes)


def nothing(**changes: Any) -> Finding:
    made = finding(Verdict.NO_DATA, x=0, n=0, observed=None, effect=None, n_eff=None, **changes)
    return replace(made, low=None, high=None, p_value=None)


@dataclass
class Run:
    """What became of alerts over some windows in order."""

    alerts: dict[str, Alert]
    transitions: list[Transition]
    steps: list[Advance]

    @property
    def alert(self) -> Alert:
        (only,) = self.alerts.values()
        return only

    @property
    def chain(self) -> list[tuple[str | None, str, str]]:
        return [(t.from_state, t.to_state, t.reason) for t in self.transitions]

    @property
    def reasons(self) -> list[str]:
        return [t.reason for t in self.transitions]


def run(
    windows: Iterable[Finding | Sequence[Finding]],
    rule: Rule = DEFAULT,
    *,
    redeployed: int | None = None,
) -> Run:
    """Evaluate windows in order, and keep alerts from one to the next as a store does.

    A window is given as its finding or findings; their window start is set by their place.
    *redeployed*: the first window of another ProbeSet, with another baseline.
    """
    result = Run({}, [], [])
    for number, given in enumerate(windows):
        found = [given] if isinstance(given, Finding) else given
        start = NOON_MS + number * HOUR_MS
        before = list(result.alerts.values())
        at = context(number, **(OTHER if redeployed is not None and number >= redeployed else {}))
        step = advance(before, [replace(f, window_start_ms=start) for f in found], rule, at)
        step = in_incidents(step, before, at)
        result.alerts |= {alert.id: alert for alert in step.alerts}
        result.transitions += step.transitions
        result.steps.append(step)
    return result


def fired(*findings: Finding, rule: Rule = DEFAULT) -> Advance:
    """Return the first window of a stream in which *findings* are shifted."""
    return in_incidents(advance([], findings, rule, context()), [], context())


def in_incidents(step: Advance, before: Sequence[Alert], at: Context) -> Advance:
    """Group alerts as where the records cannot tell: by the moment at which they began."""
    together = grouped(step, before, lambda *_: Kinship.UNKNOWN, at)
    return announced(together, before)
