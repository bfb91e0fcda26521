"""The label model on votes whose truth is known, beside other models.

``python -m benchmarks.label_model [--seed N] [--data FOLDER] [--peers FOLDER] [--write docs]``.
``--data`` (or ``TIDEGAUGE_DATA``) is the folder of real data; without it the real sets are left
out. Progress goes to standard error; the last line of standard output is one JSON object with all
figures. ``--write docs`` writes the page of figures. QUICK=1 takes a minute.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, Final

from benchmarks._timing import QUICK, say
from benchmarks.label_model import experiments, figures, others
from benchmarks.label_model.votes import real, simulated

SEED: Final = 20_260_105


def main() -> int:
    """Run the experiments, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--data", type=Path, help="folder of the real data")
    parser.add_argument("--peers", type=Path, help="also run other models, installed here")
    parser.add_argument("--write", type=Path, help="write the page here")
    chosen = parser.parse_args()
    sets, worlds = real(chosen.data), simulated(chosen.seed)
    result: dict[str, Any] = {
        "benchmark": "label_model",
        "quick": QUICK,
        "seed": chosen.seed,
        "draws": experiments.DRAWS,
        "real": [sample.name for sample in sets],
        "sets": {},
    }
    for sample in (*sets, *worlds):
        say(f"{sample.name} ...")
        result["sets"][sample.name] = {
            **experiments.labels(sample),
            "shares": experiments.shares(sample),
            "gold": experiments.gold(sample),
            "changes": experiments.changes(sample, chosen.seed),
        }
    result["costs"] = experiments.costs(chosen.seed)
    if chosen.peers is not None:
        result["peers"] = others.compare(chosen.peers, (*sets, *worlds))
    if chosen.write is not None:
        figures.write(result, chosen.write)
    print(json.dumps(result, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
