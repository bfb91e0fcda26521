"""What `tidegauge plan` promises against what happens: planted shifts, found when they should be.

``python -m benchmarks.plan [--seed N] [--runs N] [--only SET …]``. Each run calibrates on quiet
windows, asks for the smallest shifts of some LFs that are found within a day and within a week
(half of the time), plants them by thinning or boosting the votes, and waits for the LF's coverage
to be called.
Sets are the traffic of benchmarks.detection and real records, permuted (``TIDEGAUGE_DATA``).
Progress goes to standard error; the last line is one JSON object. QUICK=1 makes few runs.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, Final

import numpy as np

from benchmarks._timing import QUICK, say
from benchmarks.detection import ours, real, traffic
from benchmarks.detection.real import Outcomes, VotedRecords
from benchmarks.detection.traffic import CLIMATES, DAY_MS, HOUR_MS, Generator, seeded
from tidegauge_probes.counts.panes import PaneCounts
from tidegauge_probes.drift import comparison
from tidegauge_probes.drift.baseline import Baseline
from tidegauge_probes.drift.comparison import Detector
from tidegauge_probes.drift.power.reach import LATEST, futures, reach
from tidegauge_probes.drift.scales import LONGEST
from tidegauge_probes.drift.scan import Past
from tidegauge_probes.findings import ALL, SeriesKind
from tidegauge_probes.model import ABSTAIN

SEED: Final = 20_260_105
RUNS: Final = 2 if QUICK else 12
PATIENCE: Final = 3
"""Times the planned delay after which a shift counts as not found."""

LFS_OF_EACH: Final = 4
HORIZONS: Final[Mapping[str, int]] = {"1 day": DAY_MS, "1 week": 7 * DAY_MS}

Window = tuple[int, PaneCounts]
Plant = Callable[[int, float], Iterator[Window]]
"""From an LF and the ratio of its share to the windows after the shift."""


@dataclass(frozen=True)
class Scene:
    """A run: its baseline, the quiet windows before the shift, and those after it."""

    baseline: Baseline
    quiet: Sequence[Window]
    planted: Plant

    @property
    def past(self) -> Past:
        """What the scan holds when the shift begins."""
        past = Past.none(len(self.baseline.keys))
        for start, counts in self.quiet:
            past = past.then(start, *self.baseline.plan.extract(counts))
        return past

    def delay(self, series: int, lf: int, ratio: float, patience: int) -> float:
        """Return windows until the series is called, ∞ if that takes more than *patience*."""
        past = self.past
        for w, (start, counts) in enumerate(islice(self.planted(lf, ratio), patience), 1):
            findings = comparison.compare(start, counts, self.baseline, Detector(), past)
            if findings[series].shifted:
                return w
            past = past.then(start, *self.baseline.plan.extract(counts))
        return np.inf


# -- Scenes -----------------------------------------------------------------------------------


def made(climate: str, records: int, seed: int, run: int) -> Scene:
    """Return a run of made traffic."""
    rng = seeded(seed, "plan", climate, records, run)
    calibration, live = 336, LONGEST + PATIENCE * LONGEST
    world = traffic.world(rng, CLIMATES[climate], calibration + live, records)
    counts = world.count(rng)
    begin = calibration + LONGEST

    def planted(lf: int, ratio: float) -> Iterator[Window]:
        factors = np.full(len(world.rates) - begin, ratio)
        shifted = world.shifted(lf, factors).count(seeded(seed, run, lf, str(ratio)))
        return iter(ours.rows_of(shifted[begin:]))

    quiet = list(ours.rows_of(counts[calibration:begin]))
    return Scene(ours.fit(counts[:calibration]), quiet, planted)


def dealt(records: VotedRecords, calibration: int, seed: int, run: int) -> Scene:
    """Return a run of real records, permuted."""
    windows = list(records.dealt(seed, run))[: calibration + LONGEST * (1 + PATIENCE)]
    counted = [(start, records.count(v)) for start, v in windows[: calibration + LONGEST]]
    share = np.mean(records.outcomes >= 0, axis=0)

    def planted(lf: int, ratio: float) -> Iterator[Window]:
        rng = seeded(seed, records.name, run, lf, str(ratio))
        for start, votes in windows[calibration + LONGEST :]:
            yield start, records.count(_shifted(rng, votes, lf, ratio, float(share[lf])))

    baseline = real.fit(records, counted[:calibration])
    return Scene(baseline, counted[calibration:], planted)


def _shifted(rng: Generator, votes: Outcomes, lf: int, ratio: float, share: float) -> Outcomes:
    """Take votes of an LF away, or let it vote on records that it abstains on."""
    found, drawn = votes.copy(), rng.random(len(votes))
    voted = votes[:, lf] >= 0
    if ratio < 1:
        found[voted & (drawn >= ratio), lf] = ABSTAIN
    else:
        label = int(votes[voted, lf].max(initial=0))
        found[~voted & (drawn < share * (ratio - 1) / (1 - share)), lf] = label
    return found


def scenes() -> dict[str, Callable[[int, int], Scene]]:
    """Return the sets, by name: from a seed and a run to its scene."""
    found: dict[str, Callable[[int, int], Scene]] = {
        "overdispersed, 1 h": partial(made, "overdispersed", 1_000),
        "season, 1 h": partial(made, "season", 1_000),
        "overdispersed, 1 h, 200 records": partial(made, "overdispersed", 200),
        "uneven, 1 h": partial(made, "uneven", 1_000),
    }
    for name, hours, calibration in (("congress", 6, 168), ("stories", 24, 336)):
        records = real.timed(name, hours * HOUR_MS)
        if records is not None:
            found[f"{name}, {hours} h"] = partial(dealt, records, calibration)
    if (drawn := real.drawn("hausa")) is not None:
        found["hausa, 1 h"] = partial(dealt, drawn, 336)
    return found


# -- Delays -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Planted:
    """One shift: after how many windows it should be found half of the time, and when it was."""

    planned: int
    took: float


def of_scene(scene: Scene, only: str = "") -> dict[str, list[Planted]]:
    """Plant the planned shifts of some LFs, rare ones and frequent ones.

    *only*: of a horizon whose name contains that.
    """
    keys = scene.baseline.keys
    every = [s for s, k in enumerate(keys) if k.segment == ALL and k.series is SeriesKind.COVERAGE]
    by_share = sorted(every, key=lambda s: float(scene.baseline.calibration.p[s]))
    chosen = np.array(by_share)[
        np.linspace(0, len(by_share) - 1, LFS_OF_EACH + 2)[1:-1].astype(int)
    ]
    tried = futures(scene.baseline, Detector().alpha, chosen)
    found: dict[str, list[Planted]] = {}
    for name, horizon in HORIZONS.items():
        if only not in name:
            continue
        windows = min(horizon // scene.baseline.window_ms, LATEST)
        smallest = reach(tried, windows)
        for side, ratios in (("up", smallest.up), ("down", smallest.down)):
            found[f"{name}, {side}"] = [
                Planted(
                    windows, scene.delay(int(s), _lf(keys[s].probe, scene), r, PATIENCE * windows)
                )
                for s, r in zip(chosen, ratios.tolist(), strict=True)
                if np.isfinite(r)
            ]
    return found


def _lf(name: str, scene: Scene) -> int:
    probes = scene.baseline.plan.layout.probes
    return probes.index(name) if probes else int(name.removeprefix("lf"))


def figures(planted: Sequence[Planted]) -> dict[str, Any]:
    """Return the planned delay, the realised median, and how many were found in time."""
    took = np.array([one.took for one in planted])
    planned = planted[0].planned
    middle = float(np.median(took))
    return {
        "planned_windows": planned,
        "median_windows": round(middle, 1) if np.isfinite(middle) else None,
        "ratio": round(middle / planned, 2) if np.isfinite(middle) else None,
        "found_in_time": round(float((took <= planned).mean()), 2),
        "shifts": len(planted),
    }


def run_all(seed: int, only: Sequence[str] | None, runs: int = RUNS) -> dict[str, Any]:
    """Return the figures of each set, horizon and side."""
    found: dict[str, Any] = {}
    for name, scene in scenes().items():
        if only and not any(one in name for one in only):
            continue
        pooled: dict[str, list[Planted]] = {}
        for run in range(runs):
            for case, planted in of_scene(scene(seed, run)).items():
                pooled.setdefault(case, []).extend(planted)
        found[name] = {case: figures(planted) for case, planted in pooled.items() if planted}
        say(f"plan, {name}: {found[name]}")
    return found


def main() -> int:
    """Run it, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--only", nargs="*", default=None, help="sets whose name contains this")
    parser.add_argument("--runs", type=int, default=RUNS, help="runs of each set")
    chosen = parser.parse_args()
    result = {"benchmark": "plan", "quick": QUICK, "seed": chosen.seed}
    sets = run_all(chosen.seed, chosen.only, chosen.runs)
    print(json.dumps(result | {"runs": chosen.runs, "sets": sets}, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
