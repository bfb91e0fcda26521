"""Other label models on the same votes, each as a process in an environment of its own."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks._timing import say
from benchmarks.detection import others
from benchmarks.label_model.experiments import accuracy
from benchmarks.label_model.votes import Floats, Sample

PINS: Final = Path(__file__).parent / "peers"
ADAPTERS: Final = PINS / "adapters.py"
TOOLS: Final = ("snorkel", "crowd-kit")
TIMEOUT_S: Final = 1_800


def compare(folder: Path, samples: Sequence[Sample]) -> dict[str, Any]:
    """Return each model's accuracy on covered records by sample, or why there is none."""
    failed = others.install(folder, PINS)
    found: dict[str, Any] = {}
    for tool in TOOLS:
        if tool in failed:
            found[tool] = {"error": failed[tool]}
            continue
        found[tool] = {sample.name: _accuracy(folder, tool, sample) for sample in samples}
        say(f"{tool}: {found[tool]}")
    return found


def _accuracy(folder: Path, tool: str, sample: Sample) -> float | None:
    try:
        scores = run(folder, tool, sample)[sample.covered]
    except (RuntimeError, subprocess.TimeoutExpired) as error:
        say(f"{tool} on {sample.name}: {error}")
        return None
    return round(accuracy(scores, sample.truth[sample.covered]), 4)


def run(folder: Path, tool: str, sample: Sample) -> Floats:
    """Return a model's scores, float64 [n, K]; RuntimeError with the end of what it printed."""
    with tempfile.TemporaryDirectory(prefix="tidegauge-peer-") as scratch:
        source, target = Path(scratch) / "in.npz", Path(scratch) / "out.npz"
        np.savez(source, votes=sample.votes, train=sample.train, classes=sample.classes)
        done = subprocess.run(
            (others.python_in(folder / tool), "-I", str(ADAPTERS), tool, str(source), str(target)),
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            cwd=scratch,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(" ".join(done.stderr.split()[-60:]))
        with np.load(target) as found:
            return np.asarray(found["scores"], dtype=np.float64)
