"""Whether two shifts have one cause: whether the same records moved both series.

What is known of the records are sums over windows: votes, votes in company, records without votes,
and on how many records two LFs vote together. From these follow three answers. *Same* and
*different* are claims; where the sums cannot tell, it is *unknown*, and the time has to.

Two LFs that shift for two reasons meet as often as chance has it: where both became rarer, to a
fraction r and s, on r·s of the records on which they met before; where both became more frequent,
on as many more as each is frequent. Where one cause moves both, they meet more or less often than
that. Where two LFs that meet often became rarer, one cause may come to the same as two, and nothing
is claimed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from tidegauge_probes.findings import ALL, Kinship, SeriesKey, SeriesKind
from tidegauge_probes.label_model.precision import PairCounts
from tidegauge_probes.model import Layout

Floats = npt.NDArray[np.float64]
Totals = Mapping[SeriesKey, tuple[int, int]]

SURE_Z: Final = 3.0
"""Standard deviations at which meetings differ from what two causes would give."""

LEAST_SHARED: Final = 0.1
"""Share of the smaller shift by which meetings must differ, for one cause."""

IN_ONE_TOPIC: Final = 0.25
"""How often two LFs that one cause moves up are taken to meet in its records, at least."""

MEET_SELDOM: Final = 0.2
"""Share of the rarer LF's votes on which both vote: below it, the records are others."""

BY_CHANCE: Final = 2.0
"""LFs that meet less often than this times what chance gives vote on records of different kinds."""

MOST_OF_IT: Final = 0.5
LITTLE_OF_IT: Final = 0.2
"""Share of a move of the blind spot that the votes of one LF explain."""

MORE_THAN_DILUTED: Final = 1.5
"""What moves by at most so many times as much as all known records (in logarithms) moves along; the
window that raised the alarm flatters it by some standard deviations."""

DILUTED: Final = 0.6
"""What is only diluted by other records keeps at least this much of its share."""

FOLLOWERS: Final = frozenset({SeriesKind.CLASS_SHARE, SeriesKind.PRECISION})
"""Estimates from the votes: they move with whatever moves those."""


@dataclass(frozen=True, eq=False)
class Moves:
    """What the latest windows have more or less of than the baseline.

    ``seen``: x of n by series, over these windows; ``expected``: the share of each. ``now``,
    ``before``: co-votes of these windows and of the baseline.
    """

    layout: Layout
    seen: Totals
    expected: Mapping[SeriesKey, float]
    now: PairCounts
    before: PairCounts

    def kinship(self, one: SeriesKey, other: SeriesKey) -> Kinship:
        """Tell whether the same records moved both series. Symmetric."""
        if _are_one(one, other) or {one.series, other.series} & FOLLOWERS:
            return Kinship.SAME
        first, second = sorted((one, other), key=lambda key: (str(key.series), key))
        kinds = (first.series, second.series)
        if kinds == (SeriesKind.BLIND_SPOT, SeriesKind.COVERAGE):
            return self._of_blind_spot(first, second)
        if kinds == (SeriesKind.COVERAGE, SeriesKind.COVERAGE):
            return self._of_coverages(first, second)
        company = {SeriesKind.OVERLAP, SeriesKind.CONFLICT}
        if SeriesKind.COVERAGE in kinds and company & set(kinds):
            return self._of_company(*sorted((one, other), key=lambda k: k.series in company))
        return Kinship.UNKNOWN

    # -- Parts of it --------------------------------------------------------------------------

    def _excess(self, key: SeriesKey) -> float:
        """How many more are seen than expected; 0 where nothing is known."""
        x, n = self.seen.get(key, (0, 0))
        return x - n * self.expected.get(key, x / n if n else 0.0)

    def _ratio(self, key: SeriesKey) -> float:
        """What is seen, as a multiple of what is expected."""
        x, n = self.seen.get(key, (0, 0))
        return (x + 0.5) / (n * self.expected.get(key, x / n if n else 0.0) + 0.5)

    def _of_blind_spot(self, blind: SeriesKey, lf: SeriesKey) -> Kinship:
        """An LF that stops voting leaves records blind; unknown records dilute every LF."""
        here = SeriesKey(SeriesKind.BLIND_SPOT, lf.segment)
        blind = here if here in self.expected else blind
        (x, n), before = self.seen.get(blind, (0, 0)), self.expected.get(blind)
        if not n or before is None or before >= 1:
            return Kinship.UNKNOWN
        known = math.log(max(1 - x / n, 0.5 / n) / (1 - before))
        moved = math.log(self._ratio(lf))
        noise = SURE_Z / math.sqrt(max(self._due(lf), 1.0))
        if known * moved > 0 and abs(moved) <= MORE_THAN_DILUTED * abs(known) + noise:
            return Kinship.SAME
        explained = -self._alone(lf) / (x - n * before) if x != n * before else 0.0
        if explained >= MOST_OF_IT:
            return Kinship.SAME
        return Kinship.DIFFERENT if explained < LITTLE_OF_IT else Kinship.UNKNOWN

    def _alone(self, lf: SeriesKey) -> float:
        """How many more records there are on which only this LF votes."""
        company = SeriesKey(SeriesKind.OVERLAP, lf.segment, lf.probe)
        x, _ = self.seen.get(lf, (0, 0))
        met, _ = self.seen.get(company, (0, 0))
        return (x - met) - self._due(lf) * (1 - self.expected.get(company, 0.0))

    def _due(self, key: SeriesKey) -> float:
        return self.seen.get(key, (0, 0))[1] * self.expected.get(key, 0.0)

    def _of_coverages(self, one: SeriesKey, other: SeriesKey) -> Kinship:
        if _apart(one.segment, other.segment):
            return Kinship.DIFFERENT
        moves = self._excess(one), self._excess(other)
        if moves[0] * moves[1] < 0:
            return self._of_opposites(*sorted((one, other), key=self._excess))
        if not self.meetings[0].size:
            return Kinship.UNKNOWN
        return self._of_meetings(one.probe, other.probe, min(abs(moves[0]), abs(moves[1])))

    def _of_opposites(self, fell: SeriesKey, rose: SeriesKey) -> Kinship:
        """New records of one kind dilute what the LFs of all others vote on."""
        lost = 1 - self._ratio(fell)
        _, n = self.seen.get(rose, (0, 0))
        grown = self._excess(rose) / max(n, 1)
        diluted = self._ratio(fell) >= DILUTED and lost >= grown * (1 - LEAST_SHARED)
        return Kinship.SAME if diluted else Kinship.DIFFERENT

    @cached_property
    def meetings(self) -> tuple[Floats, Floats]:
        """Records on which two LFs vote, [m, m]: seen, and expected of as many records.

        Empty where pairs are not counted.
        """
        m = len(self.layout.probes)
        shares = self.now.records / max(self.before.records, 1)
        return _by_lf(self.now, m), _by_lf(self.before, m) * shares

    def _of_meetings(self, one: str, other: str, smaller: float) -> Kinship:
        i, j = self.layout.probes.index(one), self.layout.probes.index(other)
        seen, due = self.meetings
        met, before, records = seen[i, j], due[i, j], max(self.now.records, 1)
        votes, votes_due = seen.diagonal()[[i, j]], np.maximum(due.diagonal()[[i, j]], 0.5)
        strangers = False
        if votes.sum() < votes_due.sum():
            left = votes / votes_due
            apart = together = before * left.prod()
            by_chance = votes_due.prod() / records
            strangers = before < max(MEET_SELDOM * votes_due.min(), BY_CHANCE * by_chance)
        else:
            grown = np.maximum(votes - votes_due, 0.0)
            apart = before + grown @ votes_due[::-1] / records
            together = apart + IN_ONE_TOPIC * smaller
        noise = SURE_Z * math.sqrt(max(apart, 1.0))
        if abs(met - apart) >= max(noise, LEAST_SHARED * smaller):
            return Kinship.SAME
        could_tell = strangers or together - apart >= noise
        return Kinship.DIFFERENT if could_tell else Kinship.UNKNOWN

    def _of_company(self, lf: SeriesKey, company: SeriesKey) -> Kinship:
        """An LF meets others more often because one of them votes more often."""
        if not self.meetings[0].size:
            return Kinship.UNKNOWN
        i, j = (self.layout.probes.index(key.probe) for key in (company, lf))
        seen, due = self.meetings
        moved = seen[i, j] / max(seen[i, i], 1.0) - due[i, j] / max(due[i, i], 1.0)
        x, n = self.seen.get(company, (0, 0))
        whole = x / n - self.expected.get(company, x / n) if n else 0.0
        return Kinship.SAME if whole and moved / whole >= MOST_OF_IT else Kinship.UNKNOWN


def _by_lf(counts: PairCounts, lfs: int) -> Floats:
    if not counts.gram.size:
        return np.zeros((0, 0))
    classes = len(counts.gram) // lfs
    return np.asarray(counts.gram.reshape(lfs, classes, lfs, classes).sum(axis=(1, 3)), np.float64)


def _are_one(one: SeriesKey, other: SeriesKey) -> bool:
    """Whether both are of one LF, or the same but for the segment, or shares of one field."""
    shared = ({one.probe, one.other} & {other.probe, other.other}) - {""}
    if shared or one.series is not other.series:
        return bool(shared)
    if one.series is SeriesKind.SEGMENT_SHARE:
        return _field(one.segment) == _field(other.segment)
    return (one.probe, one.other, one.label) == (other.probe, other.other, other.label)


def _apart(one: str, other: str) -> bool:
    """Whether no record is in both segments: other values of one field."""
    return one != other and ALL not in {one, other} and _field(one) == _field(other) != ""


def _field(segment: str) -> str:
    name, eq, _ = segment.partition("=")
    return name if eq else ""
