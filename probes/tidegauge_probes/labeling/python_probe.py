"""An LF in Python as a probe: called on each record, its failures and odd results made errors."""

from __future__ import annotations

import json
import operator
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import numpy as np

from tidegauge_probes.columns.batch import Batch, Chain
from tidegauge_probes.errors import ProbeError
from tidegauge_probes.interrupts import pass_on_interrupt
from tidegauge_probes.labeling.contents import PythonContents
from tidegauge_probes.labeling.digest import describe
from tidegauge_probes.model import ABSTAIN, ERROR, Fault, Outcomes

_MAX_SHOWN: Final = 200
"""Maximum characters kept of what an LF raised or returned."""

_SNORKELS_PARTS: Final = ("_f", "_resources", "_pre")
"""Attributes in which Snorkel's labeling functions keep the function, its resources and
preprocessors."""


@dataclass(frozen=True)
class PythonProbe:
    """An LF, slicing function or plain callable in Python; Snorkel's own objects as they are."""

    name: str
    f: Callable[..., Any]
    resources: Mapping[str, Any]
    chain: Chain
    source: Any
    """The object the user wrote. It is hashed, so that changing it makes a new ProbeSet."""

    @property
    def labels(self) -> None:
        """Only running it tells."""
        return

    def contents(self) -> PythonContents:
        return PythonContents(self.name, json.loads(json.dumps(describe(self.source))))

    def _results(
        self, batch: Batch, column: int, rows: Sequence[int] | None
    ) -> tuple[list[Any], list[Fault]]:
        """Call the function on records: what it returned (None if it failed), and faults."""
        views = batch.views(self.chain)
        if rows is not None:
            views = [views[row] for row in rows]
        f = partial(self.f, **self.resources) if self.resources else self.f
        f = _unless_failed(f) if self.chain else f
        results: list[Any] = []
        faults: list[Fault] = []
        left = iter(views)
        while len(results) < len(views):
            failure: BaseException = StopIteration()  # one of the LF's own looks like the end
            try:
                # The loop is in C; what was returned before a failure is kept.
                results.extend(map(f, left))
            except BaseException as error:  # noqa: BLE001  (user code may raise anything)
                pass_on_interrupt(error)
                failure = error
            if len(results) < len(views):
                why = type(failure).__name__, _printable(str, failure)
                faults.append(Fault(column, len(results), *why))
                results.append(None)
        return results, faults

    def outcomes(
        self, batch: Batch, column: int, cardinality: int, rows: Sequence[int] | None = None
    ) -> tuple[Outcomes, list[Fault]]:
        """Vote on each record, or on some *rows*, int8 [rows].

        Exceptions and things that are no votes become errors.
        """
        outcomes, faults = self._outcomes(batch, column, cardinality, rows)
        if rows is not None:
            faults = [replace(fault, row=rows[fault.row]) for fault in faults]
        return outcomes, faults

    def _outcomes(
        self, batch: Batch, column: int, cardinality: int, rows: Sequence[int] | None
    ) -> tuple[Outcomes, list[Fault]]:
        results, faults = self._results(batch, column, rows)
        if not faults and results:
            try:
                # Takes what `operator.index` takes, as `as_vote` does.
                votes = np.frombuffer(array("b", results), dtype=np.int8)
            except BaseException as error:  # noqa: BLE001  (a user's `__index__`, or no votes)
                pass_on_interrupt(error)
                return _checked(results, faults, column, cardinality)
            if votes.min() >= ABSTAIN and votes.max() < cardinality:
                return votes, faults
        return _checked(results, faults, column, cardinality)


def _unless_failed(f: Callable[..., Any]) -> Callable[[Any], Any]:
    """Return *f* for what a preprocessor has returned; its failure is the LF's."""

    def call(view: Any) -> Any:
        if isinstance(view, BaseException):
            raise view
        return f(view)

    return call


def _checked(
    results: list[Any], faults: list[Fault], column: int, cardinality: int
) -> tuple[Outcomes, list[Fault]]:
    """Check each vote on its own: the slow path, taken when some result is unusual."""
    outcomes = np.full(len(results), ERROR, dtype=np.int8)
    failed = {fault.row for fault in faults}
    for row, result in enumerate(results):
        if row in failed:
            continue
        vote = as_vote(result)
        if vote is not None and ABSTAIN <= vote < cardinality:
            outcomes[row] = vote
        else:
            why = f"returned {_printable(repr, result)}, not a class index in -1…{cardinality - 1}"
            faults.append(Fault(column, row, "invalid_vote", why))
    return outcomes, faults


def as_vote(result: Any) -> int | None:
    """Read ints, numpy ints and bools; floats and None are bugs of the LF (Snorkel rounds them)."""
    if isinstance(result, np.bool_):
        return int(result)
    try:
        return operator.index(result)
    except BaseException as error:  # noqa: BLE001  (TypeError, or whatever `__index__` raises)
        pass_on_interrupt(error)
        return None


def _printable(render: Callable[[Any], str], value: Any) -> str:
    """Return *value* as a text that can be stored, even where showing it fails.

    `repr(10**5000)` raises, so may a user's `__str__`; lone surrogates are not UTF-8.
    """
    try:
        text = render(value)[:_MAX_SHOWN]
    except BaseException as error:  # noqa: BLE001  (user code may raise anything)
        pass_on_interrupt(error)
        text = f"a {type(value).__name__} that cannot be printed ({type(error).__name__})"
    return text.encode("utf-8", "backslashreplace").decode()


def python_probe(candidate: Any) -> PythonProbe:
    """Make a probe of a Snorkel or tidegauge LF or SF, or of a plain callable.

    Objects that keep Snorkel's ``__call__`` are unwrapped, so that a preprocessor chain that
    several LFs share runs once per record. A subclass with its own ``__call__`` is called whole.
    """
    if not callable(candidate):
        msg = f"{candidate!r} is not a labeling function, as it is not callable"
        raise ProbeError(msg)
    name = getattr(candidate, "name", None) or getattr(candidate, "__name__", None)
    if not isinstance(name, str):
        msg = f"{candidate!r} has no name: wrap it with @labeling_function(name='...')"
        raise ProbeError(msg)
    if _keeps_snorkels_call(candidate):
        f, resources, pre = (getattr(candidate, part) for part in _SNORKELS_PARTS)
        return PythonProbe(name, f, resources, tuple(pre), candidate)
    return PythonProbe(name, candidate, {}, (), candidate)


def _keeps_snorkels_call(candidate: Any) -> bool:
    if not all(hasattr(candidate, part) for part in _SNORKELS_PARTS):
        return False
    call = getattr(type(candidate), "__call__", None)  # noqa: B004  (which one, not whether)
    return getattr(call, "__qualname__", "") == "LabelingFunction.__call__"
