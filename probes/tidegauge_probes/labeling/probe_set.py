"""A ProbeSet: LFs, slicing functions and class names, immutable, named by content."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from tidegauge_probes.columns.batch import Batch, ColumnRef
from tidegauge_probes.columns.needles import Needle, Needles
from tidegauge_probes.errors import ProbeError, nearest
from tidegauge_probes.findings import ALL
from tidegauge_probes.labeling.contents import Contents, ProbeContents, TemplateContents
from tidegauge_probes.labeling.digest import digest_of_json
from tidegauge_probes.labeling.python_probe import PythonProbe, python_probe
from tidegauge_probes.labeling.templates import Condition, SliceSpec, TemplateSpec
from tidegauge_probes.labeling.voters import VoterProbe, VoterSpec, as_voter
from tidegauge_probes.model import ABSTAIN, ERROR, MAX_CLASSES, Fault, Layout, Outcomes


class Probe(Protocol):
    """One labeling function, ready to look at a batch."""

    @property
    def name(self) -> str:
        """Unique in its ProbeSet."""

    @property
    def labels(self) -> tuple[int, ...] | None:
        """The classes it can vote for, or None if only running it tells."""

    def contents(self) -> ProbeContents:
        """Return plain data that stands for its behaviour."""

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

    def contents(self) -> TemplateContents:
        """Return its name, condition and class; of a slicing function no class."""
        label = None if isinstance(self.condition, SliceSpec) else self.label
        return TemplateContents(self.name, self.condition.document(), label)

    def outcomes(self, batch: Batch, column: int, cardinality: int) -> tuple[Outcomes, list[Fault]]:
        """Vote where the condition holds; fail where it could not be decided."""
        del cardinality  # checked when the ProbeSet was made
        mask, failed = self.condition.holds(batch)
        result = np.where(mask, np.int8(self.label), np.int8(ABSTAIN))
        result[list(failed)] = ERROR
        return result, [Fault(column, row, *why) for row, why in failed.items()]


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
                msg = f"{self._where()}slicing function '{piece.name}': '{ALL}' and names with '='"
                raise ProbeError(f"{msg} are reserved for other segments: rename it")

    def _refuse_duplicates(self, what: str, names: Iterable[str]) -> None:
        twice = [name for name, n in Counter(names).items() if n > 1]
        if twice:
            msg = (
                f"{self._where()}duplicate {what} '{twice[0]}': names must be unique, so rename one"
            )
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
        return digest_of_json(self._contents.document())[:16]

    @property
    def contents(self) -> Contents:
        """What stands for its behaviour, and may be kept: no source of Python is in it."""
        return self._contents.sealed()

    @cached_property
    def _contents(self) -> Contents:
        parts = (tuple(p.contents() for p in part) for part in (self.probes, self.slices))
        return Contents(self.classes, *parts)

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
        probes = (*self.probes, *self.slices)
        conditions = [probe.condition for probe in probes if isinstance(probe, TemplateProbe)]
        return frozenset(path for condition in conditions for path in condition.fields())

    @cached_property
    def needles(self) -> dict[ColumnRef, Needles]:
        """Field → all words that the templates look for in it."""
        needles: dict[ColumnRef, set[Needle]] = {}
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
