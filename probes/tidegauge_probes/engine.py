"""One batch, one matrix: run every LF of a ProbeSet over a batch of records.

LF-major: each LF runs over the whole batch, timed once per batch, so that its cost is known
without a clock call per record. Preprocessors run once per record and chain.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import closing
from time import perf_counter
from typing import Any, Final

import numpy as np

from tidegauge_probes.batch import Batch
from tidegauge_probes.lifting import Lifting
from tidegauge_probes.model import ERROR, Fault, Fields, Outcomes, VoteMatrix
from tidegauge_probes.probe_set import Probe, ProbeSet, PythonProbe

QUARANTINED: Final = "quarantined"
"""Type of the faults of an LF that is not called any more."""


def _unheard(_column: int) -> None:
    pass


def run(
    probe_set: ProbeSet,
    records: Sequence[Fields],
    *,
    skipped: Collection[int] = (),
    entering: Callable[[int], None] = _unheard,
    lifting: Lifting | None = None,
    name: str = "",
) -> VoteMatrix:
    """Apply *probe_set* to *records*: int8 outcomes [n, m], bool segments [n, s].

    Never raises for what an LF does: its failures are outcomes. Empty in, empty out.
    *skipped* columns are not called: an LF's outcome is an error for every record, a slicing
    function takes none. *entering* hears of each column before it runs, once a batch, so that a
    watchdog knows which LF does not come back. Slicing function j has the column m + j.
    *lifting* runs the LFs it has lifted; it decides by the batch's *name* whether to check them.
    """
    check = lifting is not None and bool(records) and lifting.checks(name)
    read = lifting or probe_set
    with closing(Batch(records, read.needles, read.fields)) as batch:
        return _run(probe_set, batch, skipped, entering, lifting, check=check)


def _run(
    probe_set: ProbeSet,
    batch: Batch,
    skipped: Collection[int],
    entering: Callable[[int], None],
    lifting: Lifting | None,
    *,
    check: bool,
) -> VoteMatrix:
    def outcomes(probe: Probe, column: int, cardinality: int) -> tuple[Outcomes, list[Fault]]:
        if lifting is not None and column in lifting.lifted and isinstance(probe, PythonProbe):
            return lifting.outcomes(probe, batch, column, cardinality, check=check)
        return probe.outcomes(batch, column, cardinality)

    n, m = len(batch), len(probe_set.probes)
    matrix = np.empty((n, m), dtype=np.int8)
    segments = np.zeros((n, len(probe_set.slices)), dtype=np.bool_)
    seconds = np.zeros(m, dtype=np.float64)
    faults: list[Fault] = []
    for column, probe in enumerate(probe_set.probes):
        if column in skipped:
            matrix[:, column] = ERROR
            faults.extend(_quarantined(column, n))
            continue
        entering(column)
        start = perf_counter()
        matrix[:, column], failed = outcomes(probe, column, probe_set.cardinality)
        seconds[column] = perf_counter() - start
        faults.extend(failed)
    for column, probe in enumerate(probe_set.slices):
        # Slicing functions are named after the LFs: column m + j in the faults.
        if m + column in skipped:
            faults.extend(_quarantined(m + column, n))
            continue
        entering(m + column)
        taken, failed = outcomes(probe, m + column, 2)
        segments[:, column] = taken == 1  # False, 0 and −1 leave a record, as does a failure
        faults.extend(failed)
    for probe in (*probe_set.probes, *probe_set.slices):
        _forget(probe.chain if isinstance(probe, PythonProbe) else ())
    return VoteMatrix(matrix, segments, seconds, tuple(faults))


def _quarantined(column: int, n: int) -> list[Fault]:
    return [
        Fault(column, row, QUARANTINED, "it did not come back, and is not called")
        for row in range(n)
    ]


def _forget(chain: Iterable[Any]) -> None:
    """Empty the memoize caches of Snorkel's preprocessors, which never shrink by themselves.

    Those that run before others are in their ``_pre``.
    """
    for preprocess in chain:
        reset = getattr(preprocess, "reset_cache", None)
        if reset is not None:
            reset()
        _forget(getattr(preprocess, "_pre", ()))
