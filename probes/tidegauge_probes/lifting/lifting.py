"""Python LFs whose source is a template in disguise run as one, and are watched for ever.

An LF is *lifted* when its source (not its behaviour on a sample) says what it votes for every
record whose fields have the usual types; all other records go to the Python function. A share of
the batches is checked: both run, the function's outcomes count, and the first difference ends the
lifting of that LF. Nothing of the user's is changed.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from tidegauge_probes.columns.batch import Batch, ColumnRef
from tidegauge_probes.columns.needles import Needle, Needles
from tidegauge_probes.interrupts import pass_on_interrupt
from tidegauge_probes.labeling.probe_set import ProbeSet
from tidegauge_probes.labeling.python_probe import PythonProbe
from tidegauge_probes.lifting.lifted import Lifted, Python, decide, needles
from tidegauge_probes.model import Fault, Outcomes

CHECKED: Final = 0.02
"""Share of batches on which lifted LFs also run as plain Python."""

FEWEST: Final = 4
"""With fewer LFs to lift, reading the columns takes longer than calling the functions."""


class Lifting:
    """The lifted LFs and slicing functions of a ProbeSet, by column (as in ``engine.run``).

    *readings*: what the source of each says (``reader.readings``). *checked*: share of the batches
    that are checked, and the first always is. *fewest*: with less to lift, none is. *ended* is
    called with the name of each LF whose lifting ends, and why.
    """

    def __init__(
        self,
        probe_set: ProbeSet,
        readings: Mapping[int, Lifted | Python],
        *,
        checked: float = CHECKED,
        fewest: int = FEWEST,
        ended: Callable[[str, str], None] | None = None,
    ) -> None:
        found = {n: one for n, one in readings.items() if isinstance(one, Lifted)}
        found = found if len(found) >= fewest else {}
        self.lifted: dict[int, Lifted] = found
        self._checked = checked
        self._ended = ended
        self._begun = False
        self.needles = _with_lifted(probe_set.needles, found)
        read = {ref for lifted in found.values() for ref, _ in lifted.reads}
        self.fields = probe_set.fields | {ref for ref in read if isinstance(ref, str)}

    def checks(self, batch_name: str) -> bool:
        """Whether a batch is checked; the same batch always is, or never (but for the first)."""
        # By the batch's name, not by chance: a batch that is read again after a crash is checked
        # again, so its outcomes cannot differ between the two readings.
        begun, self._begun = self._begun, True
        return not begun or zlib.crc32(batch_name.encode()) < self._checked * 2**32

    def outcomes(
        self, probe: PythonProbe, batch: Batch, column: int, cardinality: int, *, check: bool
    ) -> tuple[Outcomes, list[Fault]]:
        """Return what the LF's own ``outcomes`` would."""
        lifted = self.lifted[column]
        found = self._decided(lifted, probe, batch, column, cardinality)
        if found is None or check:
            truth = probe.outcomes(batch, column, cardinality)
            if found is not None and not _equal(found, truth):
                self._end(column, probe.name, "its votes differed")
            return truth
        return found

    def _decided(
        self, lifted: Lifted, probe: PythonProbe, batch: Batch, column: int, cardinality: int
    ) -> tuple[Outcomes, list[Fault]] | None:
        try:
            if not lifted.stands():
                self._end(column, probe.name, "a name in its source now refers to something else")
                return None
            votes, to_python = decide(lifted.tree, lifted.reads, batch)
        except BaseException as error:  # noqa: BLE001  (of a user's object: Python decides)
            pass_on_interrupt(error)
            self._end(column, probe.name, f"{type(error).__name__}: {error}")
            return None
        rows = np.flatnonzero(to_python).tolist()
        if not rows:
            return votes, []
        votes[rows], faults = probe.outcomes(batch, column, cardinality, rows)
        return votes, faults

    def _end(self, column: int, name: str, why: str) -> None:
        del self.lifted[column]
        if self._ended is not None:
            self._ended(name, why)


def _equal(one: tuple[Outcomes, list[Fault]], other: tuple[Outcomes, list[Fault]]) -> bool:
    faults = [sorted(faults, key=lambda fault: fault.row) for _, faults in (one, other)]
    return np.array_equal(one[0], other[0]) and faults[0] == faults[1]


def _with_lifted(
    known: Mapping[ColumnRef, Needles], found: Mapping[int, Lifted]
) -> dict[ColumnRef, Needles]:
    """Return the words of templates and lifted LFs: one pass finds all."""
    words: dict[ColumnRef, set[Needle]] = {ref: set(some.columns) for ref, some in known.items()}
    for lifted in found.values():
        for ref, needle in needles(lifted.tree):
            words.setdefault(ref, set()).add(needle)
    return {ref: Needles(some) for ref, some in words.items()}
