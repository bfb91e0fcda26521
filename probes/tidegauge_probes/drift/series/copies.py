"""How much of a shift the copies of one text make up."""

from __future__ import annotations

from typing import Final

import numpy as np

from tidegauge_probes.counts.panes import DistinctCounts
from tidegauge_probes.counts.text_sample import FrequentText
from tidegauge_probes.findings import ALL, Copies, Finding, SeriesKey, SeriesKind
from tidegauge_probes.model import ABSTAIN, ERROR, Layout

LEAST: Final = 0.1
"""A smaller share of a shift is not worth a word."""

MOST: Final = 1.0


def copies_of(finding: Finding, distinct: DistinctCounts, layout: Layout) -> Copies | None:
    """Return the text whose copies make up most of a shift of one window, or None.

    A shift is x − n·expected records. Of m copies of a text on which the LF votes, all but one are
    (m − 1)·(1 − expected) of it; of one on which it abstains, −(m − 1)·expected. Known of the
    coverages, blind spot and failures of all records.

    Worked example: 98 votes on 1,000 records where 5 % were expected, 50 of which are copies. The
    shift is 48 records, and 49 · 0.95 of them, or 97 %, are copies.
    """
    if finding.key.segment != ALL or not finding.n or finding.expected is None:
        return None
    if finding.key.series is SeriesKind.COPIES:
        some = [_copies(text, text.copies / finding.n) for text in distinct.frequent[:1]]
        return next((text for text in some if text.share >= LEAST), None)
    shift = finding.x - finding.n * finding.expected
    if finding.scale > 1 or not shift:
        return None
    found = []
    for text in distinct.frequent:
        counted = _counted(finding.key, text, layout)
        if counted is not None:
            excess = (text.copies - 1) * (counted - finding.expected)
            found.append(_copies(text, min(excess / shift, MOST)))
    largest = max(found, key=lambda text: text.share, default=None)
    return largest if largest is not None and largest.share >= LEAST else None


def _copies(text: FrequentText, share: float) -> Copies:
    return Copies(text.name, text.copies, share)


def _counted(key: SeriesKey, text: FrequentText, layout: Layout) -> bool | None:
    """Return whether a text counts for a series; None where that is not known."""
    outcomes = np.frombuffer(text.outcomes, dtype=np.int8)
    if key.series is SeriesKind.BLIND_SPOT:
        return bool((outcomes == ABSTAIN).all())
    if key.series not in (SeriesKind.COVERAGE, SeriesKind.ERROR):
        return None
    outcome = outcomes[layout.probes.index(key.probe)]
    failed = bool(outcome == ERROR)
    return failed if key.series is SeriesKind.ERROR else bool(outcome > ABSTAIN)
