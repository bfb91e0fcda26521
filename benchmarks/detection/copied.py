"""Quiet windows in some of which one record comes many times: compared by records, and by texts.

Nothing drifts: a record that is repeated was drawn like any other. That the copies are told as
copies is no false alarm; whatever else opens is one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import numpy as np

from benchmarks._timing import QUICK, say
from benchmarks._workers import spread
from benchmarks.detection import nulls, real
from benchmarks.detection.ours import Windows, incidents
from benchmarks.detection.real import Outcomes, VotedRecords
from benchmarks.detection.scoring import NONE_YET, PerThousand
from benchmarks.detection.traffic import HOUR_MS, MONDAY_MS, RATES, Generator
from tidegauge_probes.counts import panes
from tidegauge_probes.counts.panes import PaneCounts
from tidegauge_probes.counts.text_sample import TextSample
from tidegauge_probes.model import ABSTAIN, Layout, VoteMatrix

TIMES: Final = (10, 50)
SHARE: Final = 0.05
"""Of the windows that have copies."""

CALIBRATION: Final = 168
LIVE: Final = 300 if QUICK else 1_000
RUNS: Final = 1 if QUICK else 2


@dataclass(frozen=True)
class _Figures:
    by_records: PerThousand = NONE_YET
    by_texts: PerThousand = NONE_YET

    def __add__(self, other: _Figures) -> _Figures:
        by_records = self.by_records + other.by_records
        return _Figures(by_records, self.by_texts + other.by_texts)

    def as_json(self) -> dict[str, Any]:
        return {"by_records": self.by_records.as_json(), "by_texts": self.by_texts.as_json()}


def copies(seed: int, budget: float) -> dict[str, Any]:
    """Return false onsets by records and by distinct texts, in made and in real traffic."""
    found: dict[str, Any] = {}
    sets: dict[str, VotedRecords | None] = {"made": None, **real.sets()}
    for times in TIMES:
        cases = [(name, records, run) for name, records in sets.items() for run in range(RUNS)]
        runs = spread(partial(_run, seed, budget, times), cases)
        for name in sets:
            of_set = [one for case, one in zip(cases, runs, strict=True) if case[0] == name]
            total = sum(of_set, _Figures())
            found[f"{name}, copies × {times}"] = total.as_json()
            say(f"copies × {times}, {name}: {total.as_json()}")
    return found


def _run(
    seed: int, budget: float, times: int, case: tuple[str, VotedRecords | None, int]
) -> _Figures:
    name, records, run = case
    rng = nulls.seeded(seed, f"copies, {name}", times, run)
    votes = _made(rng) if records is None else records.dealt(seed, run)
    return _follow(rng, list(votes)[: CALIBRATION + LIVE], records, times, budget)


def _made(rng: Generator) -> Iterator[tuple[int, Outcomes]]:
    """Yield windows of 1,000 records whose log odds vary by a tenth from window to window."""
    for w in range(CALIBRATION + LIVE):
        odds = (
            RATES / (1 - RATES) * np.exp(nulls.SD / (1 - RATES) * rng.standard_normal(len(RATES)))
        )
        voted = rng.random((nulls.RECORDS, len(RATES))) < odds / (1 + odds)
        yield MONDAY_MS + w * HOUR_MS, np.where(voted, 0, ABSTAIN).astype(np.int8)


def _follow(
    rng: Generator,
    votes: list[tuple[int, Outcomes]],
    records: VotedRecords | None,
    times: int,
    budget: float,
) -> _Figures:
    if records is None:
        names = tuple(f"lf{j}" for j in range(len(RATES)))
        layout = Layout(names, ("a", "b"), ((0,),) * len(RATES))
        records = VotedRecords("made", layout, votes[0][1], np.zeros(1, np.int64), HOUR_MS)
    classes = len(records.layout.classes)
    hit = rng.random(len(votes)) < SHARE
    by_texts = [
        (start, _counted(rng, some, classes, times if copied else 1))
        for (start, some), copied in zip(votes, hit, strict=True)
    ]
    by_records = [(start, replace(pane, distinct=None)) for start, pane in by_texts]
    return _Figures(
        *(_onsets(records, windows, budget) for windows in (by_records, by_texts)),
    )


def _onsets(
    records: VotedRecords, windows: list[tuple[int, PaneCounts]], budget: float
) -> PerThousand:
    baseline = real.fit(records, windows[:CALIBRATION])
    live: Windows = windows[CALIBRATION:]
    return incidents(baseline, live, budget)


def _counted(rng: Generator, votes: Outcomes, classes: int, times: int) -> PaneCounts:
    """Count a window whose first record comes so many times; every other text is its own."""
    rows = np.repeat(np.arange(len(votes)), np.where(np.arange(len(votes)) == 0, times, 1))
    keys = rng.integers(0, 2**64, len(votes), dtype=np.uint64)[rows]
    said = votes[rows]
    matrix = VoteMatrix(said, np.zeros((len(said), 0), np.bool_), np.zeros(said.shape[1]))
    pane = panes.fold(matrix, classes, {})
    return replace(pane, texts=TextSample.of(keys, said, {})).settled()
