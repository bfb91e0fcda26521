"""A ProbeSet: LFs, slicing functions and class names, immutable, named by content."""

from __future__ import annotations

import operator
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any, Final, Protocol

import numpy as np

from tidegauge_probes.columns.batch import Batch, Chain, Place
from tidegauge_probes.columns.needles import Needle, Needles
from tidegauge_probes.errors import ProbeError, nearest
from tidegauge_probes.findings import ALL
from tidegauge_probes.interrupts import pass_on_interrupt
from tidegauge_probes.labeling.digest import describe, digest
from tidegauge_probes.labeling.templates import Condition, SliceSpec, TemplateSpec
from tidegauge_probes.labeling.voters import VoterProbe, VoterSpec, as_voter
from tidegauge_probes.model import ABSTAIN, ERROR, MAX_CLASSES, Fault, Layout, Outcomes

_MAX_SHOWN: Final = 200
"""Characters kept of what an LF raised or returned."""

_SNORKELS_PARTS: Final = ("_f", "_resources", "_pre")
"""Where Snorkel's labeling functions keep the function, its resources, its preprocessors."""


class Probe(Protocol):
    """One labeling function, ready to look at a batch."""

    @property
    def name(self) -> str:
        """Unique in its ProbeSet."""

    @property
    def labels(self) -> tuple[int, ...] | None:
        """The classes it can vote for, or None if only running it tells."""

    def description(self) -> Any:
        """Return plain data that stands for its behaviour (see digest)."""

    def outcomes(self, batch: Batch, column: int, cardinality: int) -> tuple[Outcomes, list[Fault]]:
        """Return int8 [n] and the faults behind its errors, named by *column*."""


@dataclass(frozen=True)
class TemplateProbe:
    """An LF made of a template."""

    name: str
    condition: Condition
    label: int

    @property
    def labels(self) -> tuple[int, ...]:
        """Return the one class it votes for."""
        return (self.label,)

    def description(self) -> Any:
        """Return name, class and condition."""
        condition = self.condition.model_dump(by_alias=True, exclude_none=True)
        condition.pop("description", None)
        return [self.name, self.label, condition]

    def outcomes(self, batch: Batch, column: int, cardinality: int) -> tuple[Outcomes, list[Fault]]:
        """Vote where the condition holds; fail where it could not be decided."""
        del cardinality  # checked when the ProbeSet was made
        mask, failed = self.condition.holds(batch)
        result = np.where(mask, np.int8(self.label), np.int8(ABSTAIN))
        result[list(failed)] = ERROR
        return result, [Fault(column, row, *why) for row, why in failed.items()]


@dataclass(frozen=True)
class PythonProbe:
    """An LF, slicing function or plain callable in Python; Snorkel's own objects as they are."""

    name: str
    f: Callable[..., Any]
    resources: Mapping[str, Any]
    chain: Chain
    source: Any
    """The object the user wrote; hashed, so that changing it makes another ProbeSet."""

    @property
    def labels(self) -> None:
        """Only running it tells."""
        return

    def description(self) -> Any:
        """Return name and a description of the user's object."""
        return [self.name, describe(self.source)]

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
                why = type(failure).__name__, _shown(str, failure)
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
            why = f"returned {_shown(repr, result)}, not a class index in -1…{cardinality - 1}"
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


def _shown(show: Callable[[Any], str], value: Any) -> str:
    """Return *value* as a text that can be stored, even where showing it fails.

    `repr(10**5000)` raises, so may a user's `__str__`; lone surrogates are not UTF-8.
    """
    try:
        text = show(value)[:_MAX_SHOWN]
    except BaseException as error:  # noqa: BLE001  (user code may raise anything)
        pass_on_interrupt(error)
        text = f"a {type(value).__name__} that cannot be shown ({type(error).__name__})"
    return text.encode("utf-8", "backslashreplace").decode()


def python_probe(candidate: Any) -> PythonProbe:
    """Make a probe of a Snorkel or tidegauge LF or SF, or of a plain callable.

    Objects that keep Snorkel's ``__call__`` are unwrapped, so that a preprocessor chain that
    several LFs share runs once per record. A subclass with its own ``__call__`` is called whole.
    """
    if not callable(candidate):
        msg = f"{candidate!r} is not a labeling function: it cannot be called"
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


@dataclass(frozen=True)
class ProbeSet:
    """LFs, slicing functions and class names. Immutable; equal content has equal ``id``."""

    probes: tuple[Probe, ...]
    classes: tuple[str, ...]
    slices: tuple[Probe, ...] = ()
    origin: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        """Refuse what could not be counted or told apart."""
        if not self.probes:
            msg = f"{self._where()}a ProbeSet needs at least one labeling function"
            raise ProbeError(msg)
        if not 1 < len(self.classes) <= MAX_CLASSES:
            msg = f"{self._where()}give 2 to {MAX_CLASSES} class names, not {len(self.classes)}"
            raise ProbeError(msg)
        self._refuse_duplicates("class name", self.classes)
        self._refuse_duplicates("labeling function", (p.name for p in self.probes))
        self._refuse_duplicates("slicing function", (s.name for s in self.slices))
        for piece in self.slices:
            if piece.name == ALL or "=" in piece.name:
                msg = f"{self._where()}slicing function '{piece.name}': {ALL} and names with '='"
                raise ProbeError(f"{msg} stand for other segments, rename it")

    def _refuse_duplicates(self, what: str, names: Iterable[str]) -> None:
        twice = [name for name, n in Counter(names).items() if n > 1]
        if twice:
            msg = f"{self._where()}duplicate {what} '{twice[0]}': names must be unique, rename one"
            raise ProbeError(msg)

    def _where(self) -> str:
        return f"{self.origin}: " if self.origin else ""

    @property
    def cardinality(self) -> int:
        """Number of classes K."""
        return len(self.classes)

    @cached_property
    def id(self) -> str:
        """Content hash: 16 hex digits."""
        parts = [[p.description() for p in group] for group in (self.probes, self.slices)]
        return digest([parts, list(self.classes)])[:16]

    @property
    def deployed(self) -> tuple[int, ...]:
        """Columns that are the deployed model's own label."""
        return tuple(
            column
            for column, probe in enumerate(self.probes)
            if isinstance(probe, VoterProbe) and probe.deployed
        )

    @cached_property
    def fields(self) -> frozenset[str]:
        """All fields that the templates read."""
        probes = (*self.probes, *self.slices)
        conditions = [probe.condition for probe in probes if isinstance(probe, TemplateProbe)]
        return frozenset(path for condition in conditions for path in condition.fields())

    @cached_property
    def needles(self) -> dict[Place, Needles]:
        """Field → all words that the templates look for in it."""
        needles: dict[Place, set[Needle]] = {}
        for probe in (*self.probes, *self.slices):
            if isinstance(probe, TemplateProbe):
                for path, needle in probe.condition.needles():
                    needles.setdefault(path, set()).add(needle)
        return {path: Needles(some) for path, some in needles.items()}

    @cached_property
    def layout(self) -> Layout:
        """Names and order of the counts this ProbeSet makes."""
        every = tuple(range(self.cardinality))
        return Layout(
            probes=tuple(p.name for p in self.probes),
            classes=self.classes,
            labels=tuple(every if p.labels is None else p.labels for p in self.probes),
        )

    @classmethod
    def of(
        cls,
        lfs: Sequence[Any],
        *,
        classes: Sequence[str] | None = None,
        cardinality: int | None = None,
        slices: Sequence[Any] = (),
    ) -> ProbeSet:
        """Make a ProbeSet of Python LFs (Snorkel's or ours) and template specs.

        Give the class names in the order of their indices, or only their number.
        """
        names = tuple(classes or (str(k) for k in range(cardinality or 2)))
        return cls(
            probes=tuple(as_probe(lf, names) for lf in lfs),
            classes=names,
            slices=tuple(as_probe(sf, names) for sf in slices),
        )


def as_probe(candidate: Any, classes: Sequence[str]) -> Probe:
    """Make a probe of whatever stands for one: a template spec, an LF, a callable."""
    if isinstance(candidate, TemplateSpec):
        return TemplateProbe(candidate.name, candidate, _class_index(candidate, classes))
    if isinstance(candidate, SliceSpec):
        return TemplateProbe(candidate.name, candidate, 1)
    if isinstance(candidate, VoterSpec):
        return as_voter(candidate, classes)
    if isinstance(candidate, TemplateProbe | PythonProbe | VoterProbe):
        return candidate
    return python_probe(candidate)


def _class_index(spec: TemplateSpec, classes: Sequence[str]) -> int:
    if spec.label in classes:
        return classes.index(str(spec.label))
    if isinstance(spec.label, int) and 0 <= spec.label < len(classes):
        return spec.label
    hint = nearest(str(spec.label), classes)
    msg = f"labeling function '{spec.name}': unknown label {spec.label!r}{hint}"
    raise ProbeError(msg)
