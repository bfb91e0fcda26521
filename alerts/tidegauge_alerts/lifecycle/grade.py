"""How grave an alert is: its kind and its severity. The one place that decides either.

**Kind** is about how the shift behaves, not about which sum found it: an alert opens as a spike
and becomes a drift once it has lasted. **Severity** is about traffic: critical is what affects a
twentieth of all records *and* doubles or halves the odds. Half of a rare LF's votes are few
records, and a tenth more of a frequent LF's votes is a small change; neither is worth waking
someone.

>>> def graded(expected, now, part=1.0):
...     n, odds = 10_000, now / (1 - now) * (1 - expected) / expected
...     key = SeriesKey(SeriesKind.COVERAGE, probe="a")
...     found = Finding(key, 0, round(now * n), n, Verdict.SHIFTED, now, expected, effect=odds)
...     grade = severity_of(found, Severity.WARNING, Rule(), round(n / part))
...     return f"{affected(found, round(n / part)):.1%} affected, odds x {odds:.2g}: {grade}"
>>> graded(0.09, 0.003)  # an LF dies
'8.7% affected, odds x 0.03: critical'
>>> graded(0.005, 0.0)  # a rare one does
'0.5% affected, odds x 0: warning'
>>> graded(0.30, 0.50)
'20.0% affected, odds x 2.3: critical'
>>> graded(0.30, 0.42)  # many records, moderate effect
'12.0% affected, odds x 1.7: warning'
>>> graded(0.10, 0.30, part=0.5)  # in a segment with half of the records
'10.0% affected, odds x 3.9: critical'
>>> graded(0.10, 0.30, part=0.1)  # with a tenth of them
'2.0% affected, odds x 3.9: warning'
>>> half = dict(observed=5e-8, expected=1e-7, effect=0.5)
>>> volume = Finding(SeriesKey(SeriesKind.VOLUME), 0, 500, 10**10, Verdict.SHIFTED, **half)
>>> affected(volume, 500), str(severity_of(volume, Severity.WARNING, Rule(), 500))
(0.5, 'critical')
"""

from __future__ import annotations

from tidegauge_alerts.model import AlertKind, Rule, Severity, finite
from tidegauge_probes.findings import Finding, SeriesKey, SeriesKind, Verdict

__all__ = ["Finding", "SeriesKey", "Verdict", "affected", "kind_of", "severity_of"]


def kind_of(finding: Finding, before: AlertKind, streak: int, seen: int, rule: Rule) -> AlertKind:
    """Return the kind of an alert that was shifted in *streak* of *seen* windows.

    A drift stays one. What comes and goes, 3 windows in 20, is a spike however often it comes.
    """
    if rule.name:
        return AlertKind.RULE
    if finding.key.series is SeriesKind.ERROR:
        return AlertKind.FAULT
    lasted = streak >= rule.drift_after and 2 * streak >= seen
    return AlertKind.DRIFT if lasted else before


def severity_of(finding: Finding, before: Severity, rule: Rule, records: int) -> Severity:
    """Return the severity, of a window with so many records (0: not known).

    It goes up only: an alert that hovers at the threshold must not page every window.
    """
    if finding.key.series is SeriesKind.ERROR:
        return Severity.CRITICAL
    odds = finding.effect
    strong = odds is not None and (odds >= rule.critical_odds or odds <= 1 / rule.critical_odds)
    wide = affected(finding, records) >= rule.critical_share
    return Severity.CRITICAL if strong and wide else before


def affected(finding: Finding, records: int) -> float:
    """Return the share of all records (0…1) by which the series is off what is expected of it.

    |share - expected| of the *n* that the series is counted of, and of what share of all records
    these are: a segment, or the votes of an LF. Of a volume: what is missing of what was expected,
    or was not expected of what came. 0 where there is nothing to compare.
    """
    summed = finding.scale > 1 and finding.due is not None
    seen = finite(finding.share if summed else finding.observed)
    expected = finite(finding.due if summed else finding.expected)
    if seen is None or expected is None:
        return 0.0
    if finding.key.series is SeriesKind.VOLUME:
        return abs(seen - expected) / max(seen, expected, 1e-300)
    part = min(finding.n / records, 1.0) if records else 1.0
    return abs(seen - expected) * part
