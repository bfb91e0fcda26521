"""False alarms against delay, of tidegauge, of textbook rules and of other tools.

``python -m benchmarks.detection [--seed N] [--only NAME …] [--peers FOLDER]``. Progress goes to
standard error; the last line of standard output is one JSON object with all figures. QUICK=1 takes
two minutes. With ``--peers`` other tools run too, in environments made in that folder. ``--write
docs`` writes the page of figures; ``--only --read FILE`` takes figures that were printed before.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from benchmarks._timing import QUICK
from benchmarks._workers import workers
from benchmarks.detection import copied, experiments, figures, others
from tidegauge_probes.drift.comparison import Detector

SEED: Final = 20_260_105

EXPERIMENTS: Final[dict[str, Callable[[int, float], dict[str, Any]]]] = {
    "false_alarms": experiments.false_alarms,
    "calibrations": experiments.calibrations,
    "nulls": experiments.hard_nulls,
    "real": experiments.real_records,
    "copies": copied.copies,
    "found": experiments.found_table,
    "other_series": experiments.other_series,
    "incidents": experiments.episodes_of_incidents,
    "matched": experiments.matched,
}


def main() -> int:
    """Run the experiments, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--only", nargs="*", choices=EXPERIMENTS, default=None)
    parser.add_argument("--peers", type=Path, help="also run other tools, installed here")
    parser.add_argument("--read", type=Path, nargs="*", default=[], help="take figures from JSON")
    parser.add_argument("--write", type=Path, help="write the page and its pictures here")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    chosen = parser.parse_args()
    with workers(chosen.jobs):
        result = _run(chosen)
    print(json.dumps(result, ensure_ascii=False))
    return 0


def _run(chosen: argparse.Namespace) -> dict[str, Any]:
    budget = Detector().budget
    names = list(EXPERIMENTS) if chosen.only is None else chosen.only
    result: dict[str, Any] = {
        "benchmark": "detection",
        "quick": QUICK,
        "seed": chosen.seed,
        "budget": budget,
        **{name: EXPERIMENTS[name](chosen.seed, budget) for name in names},
    }
    if chosen.peers is not None:
        result["peers"] = others.compare(chosen.peers, chosen.seed)
    for path in chosen.read:
        result |= json.loads(path.read_text(encoding="utf-8").splitlines()[-1])
    if chosen.write is not None:
        figures.write(result, chosen.write)
    return result


if __name__ == "__main__":
    raise SystemExit(main())
