"""Which values are behind a growing ``_other``: new ones, and others that are not followed.

A value that the baseline has not seen has no series of its own. Its records fall into
``field=_other``; when the share of that rises, the counts of the window name it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from tidegauge_probes.counts.panes import RECORDS, PaneCounts
from tidegauge_probes.findings import OTHER, Cause, CauseKind, Finding, ValueShare

MOST_NAMED: Final = 3
"""Values that are named, the ones that grew most."""

LEAST_PART: Final = 0.1
"""A value that explains less of the rise is not named."""


def new_values(
    finding: Finding, window: PaneCounts, baseline: PaneCounts, followed: Collection[str]
) -> Cause | None:
    """Return the values that a shifted share of ``_other`` comes from; None if it has not risen.

    *window*, *baseline*: the counts of the window, and of all records of the baseline. *followed*:
    segments with series of their own. Values beyond ``limits.max_segments`` are not told apart, so
    they cannot be named. What is named was counted, not searched for: it needs no confirmation.
    """
    field, _, value = finding.key.segment.partition("=")
    rise = (finding.x / finding.n if finding.n else 0.0) - (finding.expected or 0.0)
    if value != OTHER or rise <= 0:
        return None
    values = [
        ValueShare(name, _share(name, baseline), _share(name, window))
        for name in window.segments
        if name.startswith(f"{field}=") and name not in followed and name != finding.key.segment
    ]
    grown = [one for one in values if one.now - one.before >= LEAST_PART * rise]
    grown.sort(key=lambda one: (one.before - one.now, one.segment))
    named = tuple(grown[:MOST_NAMED])
    if not named:
        return None
    part = sum(one.now - one.before for one in named) / rise
    first = named[0]
    return Cause(
        CauseKind.VALUES,
        field,
        first.segment,
        round(part, 4),
        round(first.now, 4),
        confirmed=True,
        values=named,
    )


def _share(segment: str, counts: PaneCounts) -> float:
    found = counts.segments.get(segment)
    if found is None or not counts.records:
        return 0.0
    return round(int(found.totals[RECORDS]) / counts.records, 4)
