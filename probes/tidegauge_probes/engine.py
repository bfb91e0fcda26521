"""One batch, one matrix: run every LF of a ProbeSet over a batch of records.

LF-major: each LF runs over the whole batch, Python LFs over a part of it that stays in the
processor's cache (a tenth and more quicker than record by record, or all at once). So an LF's cost
is known without a clock call per record. Preprocessors run once per record and chain.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from time import perf_counter
from typing import Any, Final

import numpy as np

from tidegauge_probes.columns.batch import Batch
from tidegauge_probes.labeling.current_call import CURRENT_CALL
from tidegauge_probes.labeling.probe_set import ProbeSet
from tidegauge_probes.labeling.python_probe import PythonProbe
from tidegauge_probes.lifting.lifting import Lifting
from tidegauge_probes.model import ERROR, Fault, Fields, Outcomes, VoteMatrix

QUARANTINED: Final = "quarantined"
"""Type of the faults of an LF that is not called any more."""


Outcome = Callable[[Batch, int, int], tuple[Outcomes, list[Fault]]]
"""``outcomes`` of a probe."""


Entering = Callable[[int, float], None]
"""Called before a column runs, with the seconds that it has taken in this batch so far."""


def run(
    probe_set: ProbeSet,
    records: Sequence[Fields],
    *,
    skipped: Collection[int] = (),
    entering: Entering | None = None,
    lifting: Lifting | None = None,
    name: str = "",
) -> VoteMatrix:
    """Apply *probe_set* to *records*: int8 outcomes [n, m], bool segments [n, s].

    Never raises for what an LF does: its failures are outcomes. Empty in, empty out.
    *skipped* columns are not called: an LF's outcome is an error for every record, a slicing
    function takes none. *entering* is called before each column runs, Python's once for each part
    of the batch, so that a watchdog knows which LF does not come back, and how long it takes over
    the batch. Slicing function j has the column m + j, in the faults, too.
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
    entering: Entering | None,
    lifting: Lifting | None,
    *,
    check: bool,
) -> VoteMatrix:
    n, m = len(batch), len(probe_set.probes)
    probes = (*probe_set.probes, *probe_set.slices)
    matrix = np.empty((n, len(probes)), dtype=np.int8)
    seconds = np.zeros(len(probes), dtype=np.float64)
    faults: list[Fault] = []

    def run_probe(column: int, outcomes: Outcome, part: Batch, start: int = 0) -> None:
        if entering is not None:
            entering(column, seconds[column])
        CURRENT_CALL.enter("LF" if column < m else "slicing function", probes[column].name)
        begun = perf_counter()
        cardinality = probe_set.cardinality if column < m else 2
        found, failed = outcomes(part, column, cardinality)
        matrix[start : start + len(part), column] = found
        seconds[column] += perf_counter() - begun
        faults.extend(replace(fault, row=start + fault.row) if start else fault for fault in failed)

    python: dict[int, PythonProbe] = {}
    for column, probe in enumerate(probes):
        if column in skipped:
            matrix[:, column] = ERROR
            faults.extend(_quarantined(column, n))
        elif not isinstance(probe, PythonProbe):
            run_probe(column, probe.outcomes, batch)
        elif lifting is not None and column in lifting.lifted:
            run_probe(column, partial(lifting.outcomes, probe, check=check), batch)
        else:
            python[column] = probe
    start = 0
    for part in batch.parts if python else ():
        for column, probe in python.items():
            run_probe(column, probe.outcomes, part, start)
        start += len(part)
    CURRENT_CALL.leave()
    for probe in probes:
        _forget(probe.chain if isinstance(probe, PythonProbe) else ())
    faults.sort(key=lambda fault: (fault.probe, fault.row))
    # False, 0 and −1 leave a record out of a segment, as does a failure.
    outcomes = np.ascontiguousarray(matrix[:, :m])
    return VoteMatrix(outcomes, matrix[:, m:] == 1, seconds[:m], tuple(faults))


def _quarantined(column: int, n: int) -> list[Fault]:
    why = "it ended its process or did not return, so it is no longer called"
    return [Fault(column, row, QUARANTINED, why) for row in range(n)]


def _forget(chain: Iterable[Any]) -> None:
    """Empty the memoize caches of Snorkel's preprocessors, which never shrink by themselves.

    Those that run before others are in their ``_pre``.
    """
    for preprocess in chain:
        reset = getattr(preprocess, "reset_cache", None)
        if reset is not None:
            reset()
        _forget(getattr(preprocess, "_pre", ()))
