"""What two ProbeSets differ in, LF by LF, from their contents alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tidegauge_probes.compat import StrEnum
from tidegauge_probes.labeling.contents import (
    Contents,
    ProbeContents,
    PythonContents,
    VoterContents,
)

_LABEL: Final = ("label",)
_OWN_NAME: Final = ("state", "name")
"""Where the definition of a decorated function holds its name."""

Path = tuple[str, ...]


class Aspect(StrEnum):
    """A part of an LF that may change."""

    SOURCE = "source"  # the Python code of it, or of what it calls
    PARAMETERS = "parameters"  # a template's keys, resources, constants
    LABEL = "label"  # the class that it votes for
    PREPROCESSORS = "preprocessors"


@dataclass(frozen=True, slots=True)
class LfChange:
    """An LF that kept its name, and what of it is another."""

    name: str
    aspects: tuple[Aspect, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """Differences of the LFs, or of the slicing functions; names in the order of their sets."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    renamed: tuple[tuple[str, str], ...]
    """(before, after) with the same content."""
    changed: tuple[LfChange, ...]

    @property
    def empty(self) -> bool:
        return not (self.added or self.removed or self.renamed or self.changed)


@dataclass(frozen=True, slots=True)
class Difference:
    """What has to change in one ProbeSet to make another of it. Order alone is not told."""

    probes: Part
    slices: Part
    classes: tuple[tuple[str, ...], tuple[str, ...]] | None
    """(before, after), if they differ."""

    @property
    def empty(self) -> bool:
        return self.probes.empty and self.slices.empty and self.classes is None


def compare(before: Contents, after: Contents) -> Difference:
    """Return what *after* has, lacks, names or does otherwise than *before*.

    An LF that lost its name and one of the same content under a new name are one, renamed.
    """
    classes = before.classes, after.classes
    return Difference(
        probes=_compare(_leaves(before.probes, before), _leaves(after.probes, after)),
        slices=_compare(_leaves(before.slices, before), _leaves(after.slices, after)),
        classes=None if classes[0] == classes[1] else classes,
    )


_Leaves = Mapping[Path, Any]


def _compare(before: Mapping[str, _Leaves], after: Mapping[str, _Leaves]) -> Part:
    added = [name for name in after if name not in before]
    removed = [name for name in before if name not in after]
    renamed = []
    for old in tuple(removed):
        new = next((name for name in added if after[name] == before[old]), None)
        if new is not None:
            renamed.append((old, new))
            removed.remove(old)
            added.remove(new)
    changes = (LfChange(n, _aspects(before[n], after[n])) for n in before if n in after)
    changed = tuple(change for change in changes if change.aspects)
    return Part(tuple(added), tuple(removed), tuple(renamed), changed)


def _aspects(before: _Leaves, after: _Leaves) -> tuple[Aspect, ...]:
    paths = before.keys() | after.keys()
    found = {
        _aspect(path)
        for path in paths
        if (path in before, before.get(path)) != (path in after, after.get(path))
    }
    return tuple(aspect for aspect in Aspect if aspect in found)


def _aspect(path: Path) -> Aspect:
    if path == _LABEL:
        return Aspect.LABEL
    if "_pre" in path:
        return Aspect.PREPROCESSORS
    return Aspect.SOURCE if "source" in path else Aspect.PARAMETERS


def _leaves(probes: Sequence[ProbeContents], of: Contents) -> dict[str, _Leaves]:
    """Return name → what stands for each LF, taken apart; without its name."""
    return {probe.name: _of_probe(probe, of.classes) for probe in probes}


def _of_probe(probe: ProbeContents, classes: Sequence[str]) -> _Leaves:
    """Return path → value of what makes an LF.

    ``{"keyword": {"any": ["free"]}}`` that votes SPAM is ``{("keyword", "any", "0"): "free",
    ("label",): "SPAM"}``.
    """
    if isinstance(probe, PythonContents):
        found = dict(_walk(probe.definition, ()))
        found.pop(_OWN_NAME, None)
        return found
    if isinstance(probe, VoterContents):
        meant = {value: _class_of(vote, classes) for value, vote in probe.votes.items()}
        return {("field",): probe.field, ("deployed",): probe.deployed, _LABEL: meant}
    found = dict(_walk(probe.condition, ()))
    if probe.label is not None:
        found[_LABEL] = _class_of(probe.label, classes)
    return found


def _class_of(index: int, classes: Sequence[str]) -> str | int:
    """Return the name: another order of the same classes is no other label."""
    return classes[index] if 0 <= index < len(classes) else index


def _walk(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    """Yield each leaf with the keys and places that lead to it; empty containers are leaves."""
    children: Sequence[tuple[Any, Any]] = ()
    if isinstance(value, Mapping):
        children = tuple(value.items())
    elif isinstance(value, list):
        children = tuple(enumerate(value))
    if not children:
        yield path, value
    for key, child in children:
        yield from _walk(child, (*path, str(key)))
