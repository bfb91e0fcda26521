"""What a window costs once it is counted: 30 LFs with their pairs and two slices, 64 windows.

Contestants: `compare`, the multi-window scan over all series; `binomtest`, SciPy's exact test of
each series on the newest window alone, which knows of no season, no overdispersion and no other
window. `fold` counts the window's records. Figures are CPU, and ratios to `binomtest`.
"""

from __future__ import annotations

import json
import statistics

import numpy as np
from scipy import stats

from benchmarks._timing import QUICK, Contestant, faster, race, say
from tidegauge_probes.counts import panes as counts
from tidegauge_probes.counts.panes import PaneCounts
from tidegauge_probes.drift import baseline as baselines
from tidegauge_probes.drift import comparison
from tidegauge_probes.drift.comparison import Detector
from tidegauge_probes.drift.scan import Past
from tidegauge_probes.model import ABSTAIN, Layout, VoteMatrix

LFS, CLASSES, SEED = 30, 2, 20
SLICES = ("even", "odd")
RECORDS, CALIBRATION, PAST, HOUR_MS = 100_000, 168, 64, 3_600_000
PER_WINDOW = 2_000
"""Records in a window of the calibration and of the past; the newest one has RECORDS."""

ROUNDS = 5 if QUICK else 25


class Window:
    """A counted window, its baseline, and what came before."""

    def __init__(self) -> None:
        rng = np.random.default_rng(SEED)
        self._coverage = rng.uniform(0.01, 0.3, LFS)
        names = tuple(f"lf_{i}" for i in range(LFS))
        layout = Layout(names, ("ham", "spam"), ((0, 1),) * LFS)
        panes = {w * HOUR_MS: self._pane(rng, PER_WINDOW) for w in range(CALIBRATION)}
        self._baseline = baselines.fit(
            panes, layout=layout, probe_set="", window_ms=HOUR_MS, source={}, slices=SLICES
        )
        self.series = len(self._baseline.keys)
        self._past = Past.none(self.series)
        for w in range(CALIBRATION, CALIBRATION + PAST):
            pane = self._pane(rng, PER_WINDOW)
            self._past = self._past.then(w * HOUR_MS, *self._baseline.plan.extract(pane))
        self._start = (CALIBRATION + PAST) * HOUR_MS
        self._matrix = self._votes(rng, RECORDS)
        self._newest = self._counted(self._matrix)

    def _votes(self, rng: np.random.Generator, records: int) -> VoteMatrix:
        votes = np.full((records, LFS), ABSTAIN, dtype=np.int8)
        for column, share in enumerate(self._coverage):
            says = rng.random(records) < share
            votes[says, column] = rng.random(int(says.sum())) < 0.7
        return VoteMatrix(votes, np.zeros((records, 0), dtype=np.bool_), np.zeros(LFS))

    def _pane(self, rng: np.random.Generator, records: int) -> PaneCounts:
        return self._counted(self._votes(rng, records))

    def _counted(self, votes: VoteMatrix) -> PaneCounts:
        even = np.arange(len(votes.outcomes)) % 2 == 0
        return counts.fold(votes, CLASSES, dict(zip(SLICES, (even, ~even), strict=True)))

    def contestants(self) -> dict[str, Contestant]:
        """Name them. Each works on one window."""
        return {"compare": self._compare, "binomtest": self._binomtest, "fold": self._fold}

    def _compare(self, _: int) -> int:
        comparison.compare(self._start, self._newest, self._baseline, Detector(), self._past)
        return 1

    def _binomtest(self, _: int) -> int:
        x, n = self._baseline.plan.extract(self._newest)
        p = self._baseline.calibration.p
        for seen, of, share in zip(x.tolist(), n.tolist(), p.tolist(), strict=True):
            if of:
                stats.binomtest(seen, of, share)
        return 1

    def _fold(self, _: int) -> int:
        self._counted(self._matrix)
        return 1


def main() -> None:
    """Let them run, and print the figures."""
    window = Window()
    say(f"{window.series} series, {PAST} windows before, {RECORDS:,} records in the newest")
    found = race(window.contestants(), ROUNDS)
    ms = {name: round(1000 * statistics.median(some.cpu), 2) for name, some in found.items()}
    result = {
        "benchmark": "evaluation",
        "quick": QUICK,
        "series": window.series,
        "windows": PAST + 1,
        "cpu_ms": ms,
        "compare_vs_binomtest": faster(found["compare"].cpu, found["binomtest"].cpu),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
