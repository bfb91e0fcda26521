"""What a stream cannot see, decided from its counts. Pure.

This is the only place that decides it: page, API, metrics, log and messages show what it finds. A
stream whose LFs fail, or that counts none of its inputs, raises no drift alert, because nothing
moves in what is not seen. So nothing here is compared with a baseline.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from tidegauge_probes.counts.panes import BLIND, RECORDS, PaneCounts
from tidegauge_probes.findings import MISSING, BlindCause, Blindness
from tidegauge_probes.model import Layout

FEWEST: Final = 30
"""Minimum records, or inputs, for a finding: shares of a few records mean little."""

FAILING: Final = 0.5
"""Share of the records above which a failing LF is reported as blind."""

UNSEEN: Final = 0.9
"""Share of the records without votes above which the LFs say little about the traffic."""

STAYS: Final = 0.8
"""A finding stays until its share falls below this part of its limit, so that it does not flap."""

_MISSING: Final = re.compile(
    r"the record has no field '(.+)'|'RecordView' object has no attribute '(.+)'|'(.+)'"
)
_MISSING_FAULTS: Final = frozenset({"missing_field", "AttributeError", "KeyError"})


def uncounted(records: int, late: int, dead_letters: Mapping[str, int]) -> tuple[Blindness, ...]:
    """Return a finding if inputs arrived but none of them is in a window.

    *records*: total so far, of which *late* were too late. *dead_letters*: reason → total so far.
    """
    reasons = {**dead_letters, "late": late}
    if records > late or sum(reasons.values()) < FEWEST:
        return ()
    most = max(reasons, key=lambda reason: reasons[reason])
    return (Blindness(BlindCause.NOTHING_COUNTED, 1.0, fault=most),)


def blindness(
    counts: PaneCounts,
    layout: Layout,
    before: Sequence[Blindness] = (),
    *,
    text: str | None = None,
    segment_by: Sequence[str] = (),
) -> tuple[Blindness, ...] | None:
    """Return what the records behind *counts* do not show; None if they are too few to tell.

    *before*: the previous findings. *text*, *segment_by*: the paths in the stream file.
    """
    if counts.records < FEWEST:
        return None
    known = {each.key for each in before}

    def beyond(limit: float, found: Blindness) -> bool:
        return found.share > (STAYS * limit if found.key in known else limit)

    errors = counts.all.errors.tolist()
    failing = [
        _failing(counts, column, probe, errors[column] / counts.records, text)
        for column, probe in enumerate(layout.probes)
    ]
    blind = int(counts.all.totals[BLIND]) / counts.records
    unseen = Blindness(BlindCause.BLIND_SPOT, blind)
    return (
        *(found for found in failing if beyond(FAILING, found)),
        *(
            Blindness(BlindCause.NO_SEGMENTS, 1.0, missing=path)
            for path in segment_by
            if _is_nowhere(counts, path)
        ),
        *([unseen] if beyond(UNSEEN, unseen) else ()),
    )


def _is_nowhere(counts: PaneCounts, path: str) -> bool:
    """Whether no record has a value at a path of ``segment_by``; null is not a value."""
    without = counts.segments.get(f"{path}={MISSING}")
    return without is not None and int(without.totals[RECORDS]) == counts.records


def _failing(
    counts: PaneCounts, column: int, probe: str, share: float, text: str | None
) -> Blindness:
    faults = [
        (n, kind, message) for (lf, kind), (n, message) in counts.faults.items() if lf == column
    ]
    _, kind, message = max(faults, default=(0, "", ""))
    match = _MISSING.fullmatch(message) if kind in _MISSING_FAULTS else None
    missing = next(filter(None, match.groups()), "") if match else ""
    path = text if text is not None and missing == "text" else ""
    return Blindness(BlindCause.LF_FAILS, share, probe, kind, message, missing, path)
