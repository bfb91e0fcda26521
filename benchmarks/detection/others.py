"""Other tools on the same traffic, each as a process in an environment of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks._timing import QUICK, say
from benchmarks._workers import spread
from benchmarks.detection import traffic
from benchmarks.detection.scoring import (
    FOUND_WITHIN,
    Delays,
    Mask,
    PerThousand,
    delay,
    episodes,
    threshold_for,
)
from benchmarks.detection.traffic import CLIMATES, OF_EACH, RATES, SHIFTS, Floats, Traffic, World

PINS: Final = Path(__file__).parent / "peers"
ADAPTERS: Final = PINS / "adapters.py"

TOOLS: Final[Mapping[str, str]] = {
    "evidently": "evidently",
    "nannyml": "nannyml",
    "alibi-detect": "alibi-detect",
    "whylogs": "whylogs",
    "popmon": "popmon",
    "river ADWIN": "river",
    "river Page–Hinkley": "river",
}
"""Name → environment. Each has its own: alibi-detect needs NumPy 1, others NumPy 2."""

CALIBRATION, RECORDS = 336, 1_000
QUIET: Final = 40 if QUICK else 400
"""Overdispersed windows; evidently takes a second for each."""
SEASONAL: Final = 24 if QUICK else 96
RUNS: Final = 2 if QUICK else 8
MOVED: Final = tuple(name for name in SHIFTS if name != "ramp")
EACH: Final = OF_EACH // len(MOVED)
"""LFs of a coverage that have the same shift."""

TIMEOUT_S: Final = 3_600


@dataclass(frozen=True)
class Work:
    """One history and runs after it: x and n int64 [B, W, S]."""

    history: Traffic
    live_x: traffic.Ints
    live_n: traffic.Ints


def install(folder: Path, pinned: Path = PINS) -> dict[str, str]:
    """Make the environments that are missing; return environment → why it could not be made."""
    failed = {}
    for pins in sorted(pinned.glob("*.txt")):
        place = folder / pins.stem
        stamp = place / pins.name
        if stamp.exists() and stamp.read_bytes() == pins.read_bytes():
            continue
        say(f"installing {pins.stem} into {place} ...")
        pip = (python_in(place), "-m", "pip", "install", "--quiet", "--no-input", "-r", str(pins))
        for command in ((sys.executable, "-m", "venv", "--clear", str(place)), pip):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                failed[pins.stem] = " ".join(done.stderr.split()[-60:])
                say(f"{pins.stem} does not install: {failed[pins.stem]}")
                break
        else:
            stamp.write_bytes(pins.read_bytes())
    return failed


def python_in(place: Path) -> str:
    """Return the interpreter of an environment."""
    return str(place / "bin" / "python")


def run(folder: Path, tool: str, work: Work, seed: int) -> tuple[Floats, Mask, float]:
    """Return a tool's scores and its own alarms [B, W, S], and the seconds it took.

    Raises RuntimeError with the end of what it printed.
    """
    with tempfile.TemporaryDirectory(prefix="tidegauge-peer-") as scratch:
        source, target = Path(scratch) / "in.npz", Path(scratch) / "out.npz"
        np.savez(
            source,
            history_x=work.history.x,
            history_n=work.history.n,
            live_x=work.live_x,
            live_n=work.live_n,
            seed=seed,
        )
        # Its own home: some of these tools write settings there, or ask to send statistics.
        environment = {
            **os.environ,
            "HOME": scratch,
            "DO_NOT_TRACK": "1",
            "NML_DISABLE_USAGE_LOGGING": "1",
        }
        done = subprocess.run(
            (python_in(folder / TOOLS[tool]), "-I", str(ADAPTERS), tool, str(source), str(target)),
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            cwd=scratch,
            env=environment,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(" ".join(done.stderr.split()[-60:]))
        with np.load(target) as found:
            return found["score"], found["alarms"], float(found["seconds"])


def works(seed: int) -> dict[str, Work]:
    """Return the traffic: quiet, seasonal, and shifted (all LFs at once, each judged alone)."""
    quiet = _after(seed, "overdispersed", QUIET)
    rng = traffic.seeded(seed, "peers", "shifted")
    runs = [_moved(rng).count(rng) for _ in range(RUNS)]
    shifted = Work(quiet.history, np.stack([r.x for r in runs]), np.stack([r.n for r in runs]))
    return {"quiet": quiet, "season": _after(seed, "season", SEASONAL), "shifted": shifted}


def _after(seed: int, climate: str, windows: int) -> Work:
    rng = traffic.seeded(seed, "peers", climate)
    counts = traffic.world(rng, CLIMATES[climate], CALIBRATION + windows, RECORDS).count(rng)
    live = counts[CALIBRATION:]
    return Work(counts[:CALIBRATION], live.x[None], live.n[None])


def _moved(rng: np.random.Generator) -> World:
    world = traffic.world(rng, CLIMATES["overdispersed"], FOUND_WITHIN, RECORDS)
    for series in range(len(RATES)):
        world = world.shifted(series, SHIFTS[_shift_of(series)](FOUND_WITHIN))
    return world


def _shift_of(series: int) -> str:
    return MOVED[series % OF_EACH // EACH]


def compare(folder: Path, seed: int) -> dict[str, Any]:
    """Return each tool's false alarms and delays, as shipped and matched."""
    failed = install(folder)
    work = partial(_of_tool, folder, seed, failed)
    return dict(zip(TOOLS, spread(work, list(TOOLS)), strict=True))


def _of_tool(folder: Path, seed: int, failed: Mapping[str, str], tool: str) -> dict[str, Any]:
    if TOOLS[tool] in failed:
        return {"error": failed[TOOLS[tool]]}
    try:
        results = {name: run(folder, tool, work, seed) for name, work in works(seed).items()}
    except (RuntimeError, subprocess.TimeoutExpired) as error:
        return {"error": str(error)}
    found = _figures(results)
    say(f"{tool}: {found}")
    return found


def _figures(results: Mapping[str, tuple[Floats, Mask, float]]) -> dict[str, Any]:
    score, alarms, seconds = results["quiet"]
    # To at most one episode in the very windows that are counted: in the tools' favour.
    threshold = threshold_for(score[0], 1000 / len(score[0]))
    moved, moved_alarms, _ = results["shifted"]
    return {
        "seconds_per_window": round(seconds / len(score[0]), 3),
        "shipped": {
            "quiet": _quiet(alarms[0]),
            "season": _quiet(results["season"][1][0]),
            "shifts": _shifts(moved_alarms),
        },
        "matched": {
            "threshold": float(threshold),
            "quiet": _quiet(score[0] > threshold),
            "season": _quiet(results["season"][0][0] > threshold),
            "shifts": _shifts(moved > threshold),
        },
    }


def _quiet(alarms: Mask) -> dict[str, Any]:
    in_alarm = round(1000 * float(alarms.any(axis=1).mean()), 1)
    return PerThousand(episodes(alarms), len(alarms)).as_json() | {"in_alarm": in_alarm}


def _shifts(alarms: Mask) -> dict[str, Any]:
    """Return delays by coverage and shift; alarms [B, W, S]."""
    found: dict[str, dict[str, list[int | None]]] = {}
    for series, rate in enumerate(RATES):
        of_coverage = found.setdefault(f"{rate:.1%}", {})
        late = of_coverage.setdefault(_shift_of(series), [])
        late += [delay(run, series) for run in alarms]
    return {
        coverage: {shift: Delays(tuple(late)).as_json() for shift, late in by_shift.items()}
        for coverage, by_shift in found.items()
    }
