"""Votes per second beside Snorkel: the same labeling functions, the same records, one thread.

Contestants: Snorkel's `LFApplier` and `PandasLFApplier`; Snorkel's own LF objects on tidegauge's
engine as they are (`python`), and lifted (`lifted`: 70 % of them, the others have no source at
hand; `all_lifted`); the same LFs as templates (`templates`); and from JSON bytes to counts
(`json_to_counts`). `plain_loop` calls the bare Python functions, each over all records. It and
Snorkel's get their records ready-made: building them is not timed. Ours start from dicts, or from
bytes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from benchmarks._labeling_functions import CLASSES, labeling_functions
from benchmarks._records import as_json, records
from benchmarks._timing import QUICK, Contestant, Seconds, faster, race, rate, say
from tests.snorkel_stub import load_snorkel
from tidegauge_probes import ProbeSet, engine
from tidegauge_probes.counts import panes
from tidegauge_probes.counts.panes import PaneCounts
from tidegauge_probes.lifting.lifting import Lifting
from tidegauge_probes.lifting.reader import readings
from tidegauge_probes.model import Record
from tidegauge_service.clock import now_ms
from tidegauge_service.config.stream_file import Limits, RecordMapping
from tidegauge_service.ingest.codec.codec import Codec
from tidegauge_service.ingest.sources.source import Raw

BATCH = 5_000
PANDAS = 300
"""Records for PandasLFApplier, which is slow."""

ROUNDS = 3 if QUICK else 11
SIZES = (10, 50) if QUICK else (10, 50, 100)
SIZES_OF_COUNTS = (10, 50, 100)


def unread(n: int) -> bool:
    """Whether LF *n*'s source is not at hand: three of ten, of fifty one or two of each kind."""
    return sum(divmod(n, 10)) % 10 in {0, 3, 6}


class Contest:
    """Some ways to apply some labeling functions to a batch of records a round."""

    def __init__(self, lfs: int) -> None:
        snorkel = load_snorkel()
        twins = labeling_functions(lfs)
        theirs = [snorkel.LabelingFunction(twin.name, twin.python) for twin in twins]
        mixed = [
            snorkel.LabelingFunction(twin.name, twin.without_source() if unread(n) else twin.python)
            for n, twin in enumerate(twins)
        ]
        self.wrong_votes = 0
        self._functions = [twin.python for twin in twins]
        self._applier = snorkel.LFApplier(theirs)
        self._pandas_applier = snorkel.PandasLFApplier(theirs)
        self._python = ProbeSet.of(theirs, classes=CLASSES)
        self._mixed = ProbeSet.of(mixed, classes=CLASSES)
        self._lifting, self._lifting_mixed = (
            Lifting(some, readings(some)) for some in (self._python, self._mixed)
        )
        for some in (self._lifting, self._lifting_mixed):
            some.checks("the first batch always is")
        self._templates = ProbeSet.of([twin.template() for twin in twins], classes=CLASSES)
        self._codec = Codec(RecordMapping(text="text"), Limits(), now_ms)
        self._votes: dict[str, Any] = {}
        self._pane: PaneCounts | None = None
        self.prepare(0)

    def prepare(self, n: int) -> None:
        """Make the round's records, in each contestant's form."""
        self._records = records(BATCH, seed=n)
        self._points = [SimpleNamespace(**record) for record in self._records]
        self._frame = _frame(self._records[:PANDAS])
        self._raws = [
            Raw(0, offset, value)
            for offset, value in enumerate(as_json(self._records, BATCH, 3_600_000))
        ]

    def contestants(self) -> dict[str, Contestant]:
        """Name them."""
        return {
            "lfapplier": self._run_lfapplier,
            "pandas": self._run_pandas,
            "plain_loop": self._run_plain_loop,
            "python": self._run_python,
            "lifted": self._run_lifted,
            "all_lifted": self._run_all_lifted,
            "templates": self._run_templates,
            "json_to_counts": self._run_json,
        }

    def _run_lfapplier(self, _: int) -> int:
        self._votes["lfapplier"] = self._applier.apply(self._points, progress_bar=False)
        return BATCH

    def _run_pandas(self, _: int) -> int:
        self._votes["pandas"] = self._pandas_applier.apply(self._frame, progress_bar=False)
        return PANDAS

    def _run_plain_loop(self, _: int) -> int:
        votes = [[f(point) for point in self._points] for f in self._functions]
        self._votes["plain_loop"] = np.array(votes, dtype=np.int8).T
        return BATCH

    def _run_python(self, _: int) -> int:
        self._votes["python"] = engine.run(self._python, self._records).outcomes
        return BATCH

    def _run_lifted(self, n: int) -> int:
        return self._lift("lifted", self._mixed, self._lifting_mixed, n)

    def _run_all_lifted(self, n: int) -> int:
        return self._lift("all_lifted", self._python, self._lifting, n)

    def _lift(self, name: str, some: ProbeSet, lifting: Lifting, n: int) -> int:
        matrix = engine.run(some, self._records, lifting=lifting, name=f"0:{n * BATCH}")
        self._votes[name] = matrix.outcomes
        return BATCH

    @property
    def lifted_share(self) -> float:
        """Share of the LFs that the contestant `lifted` has lifted."""
        return len(self._lifting_mixed.lifted) / len(self._mixed.probes)

    def _run_templates(self, _: int) -> int:
        self._votes["templates"] = engine.run(self._templates, self._records).outcomes
        return BATCH

    def _run_json(self, _: int) -> int:
        decoded = [self._codec.decode(raw) for raw in self._raws]
        fields = [record.fields for record in decoded if isinstance(record, Record)]
        matrix = engine.run(self._templates, fields)
        self._pane = panes.fold(matrix, len(CLASSES), {})
        self._votes["json_to_counts"] = matrix.outcomes
        return BATCH

    def check(self, _: int) -> None:
        """Compare every vote of the round with LFApplier's, and the counts with the votes."""
        reference = self._votes["lfapplier"]
        for name, votes in self._votes.items():
            if len(votes) != (PANDAS if name == "pandas" else BATCH):
                self.wrong_votes += reference.size
            else:
                self.wrong_votes += int((votes != reference[: len(votes)]).sum())
        if self._pane is not None:
            for label, total in enumerate(self._pane.all.outcomes.T[: len(CLASSES)]):
                self.wrong_votes += int(np.abs(total - (reference == label).sum(axis=0)).sum())


def _frame(batch: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Make the frame as users do, but let the missing author stay None (pandas makes it NaN)."""
    frame = pd.DataFrame(batch)
    frame["author"] = pd.Series([record["author"] for record in batch], dtype=object)
    return frame


def counts_share(lfs: int) -> float:
    """Return the time of `counts.fold` as a share of votes and counts, with templates."""
    specs = [twin.template() for twin in labeling_functions(lfs)]
    probe_set = ProbeSet.of(specs, classes=CLASSES)
    shares = []
    for n in range(ROUNDS):
        batch = records(BATCH, seed=n)
        started = time.process_time()
        matrix = engine.run(probe_set, batch)
        voted = time.process_time()
        panes.fold(matrix, len(CLASSES), {})
        counted = time.process_time()
        shares.append((counted - voted) / (counted - started))
    return round(float(np.median(shares)), 3)


def figures(found: dict[int, dict[str, Seconds]]) -> dict[str, Any]:
    """Return the ratios by number of LFs, and records a second."""

    def ratios(one: str, other: str) -> dict[str, float]:
        return {str(m): faster(by[one].cpu, by[other].cpu) for m, by in found.items()}

    return {
        "python_vs_lfapplier": ratios("python", "lfapplier"),
        "python_vs_pandas": ratios("python", "pandas"),
        "python_vs_plain_loop": ratios("python", "plain_loop"),
        "lifted_vs_lfapplier": ratios("lifted", "lfapplier"),
        "all_lifted_vs_lfapplier": ratios("all_lifted", "lfapplier"),
        "templates_vs_lfapplier": ratios("templates", "lfapplier"),
        "json_to_counts_vs_templates": ratios("json_to_counts", "templates"),
        "records_per_second": {
            str(m): {name: rate(seconds.cpu) for name, seconds in by.items()}
            for m, by in found.items()
        },
    }


def main() -> int:
    """Run the contest at each size; the exit code is 1 if any vote was wrong."""
    some = records(BATCH, seed=0)
    characters = sum(len(record["text"]) for record in some) / BATCH
    say(f"{ROUNDS} rounds of {BATCH:,} records, {characters:.0f} characters on average")
    found, wrong, lifted = {}, 0, {}
    for lfs in SIZES:
        contest = Contest(lfs)
        found[lfs] = race(contest.contestants(), ROUNDS, contest.prepare, contest.check)
        wrong += contest.wrong_votes
        lifted[str(lfs)] = contest.lifted_share
        for name, seconds in found[lfs].items():
            say(f"{lfs:>3} LFs  {name:<15} {rate(seconds.cpu):>9,} records/s")
    shares = {str(lfs): counts_share(lfs) for lfs in SIZES_OF_COUNTS}
    result = figures(found) | {"lifted_share": lifted, "counts_share": shares}
    result["wrong_votes"] = wrong
    print(json.dumps({"benchmark": "probes", "quick": QUICK, **result}))
    return int(wrong > 0)


if __name__ == "__main__":
    raise SystemExit(main())
