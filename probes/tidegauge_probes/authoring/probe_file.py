"""A ProbeSet as a file: templates as they are, and Python LFs that are templates in disguise.

A Python LF becomes a template only where both have the same outcomes (``translating``); every
other stays Python, named by its import path.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError
from yaml import YAMLError

from tidegauge_probes.authoring.words import docstring
from tidegauge_probes.documents.core_schema import dump
from tidegauge_probes.documents.reader import read_yaml
from tidegauge_probes.errors import DocumentError
from tidegauge_probes.labeling.probe_set import Probe, ProbeSet, TemplateProbe
from tidegauge_probes.labeling.python_probe import PythonProbe
from tidegauge_probes.labeling.templates import SliceSpec, TemplateSpec
from tidegauge_probes.labeling.voters import VoterProbe, VoterSpec
from tidegauge_probes.lifting.lifted import Lifted, Python
from tidegauge_probes.lifting.reader import lift, readings, returned_votes
from tidegauge_probes.lifting.translation import (
    ConditionKeys,
    Untranslatable,
    translate,
    translate_slice,
    votes_of,
)
from tidegauge_probes.model import ABSTAIN, MAX_CLASSES

Where = Callable[[Any], str | None]
"""An LF's import path, if it has one."""

_UNSEEN: Final = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff]")
"""Characters that YAML treats as line ends, or does not accept."""

ABOUT: Final = """\
# The templates have the outcomes of the Python LFs they were made from wherever a field is absent,
# null, or of the type that the LF looks for. Where it is of another type, they fail.
"""


@dataclass(frozen=True)
class Entry:
    """An LF or slicing function in a file. ``why``: why it is no template."""

    name: str
    keys: Mapping[str, Any] | None
    """The entry as written to the file; None if it cannot be written."""

    why: str | None = None


@dataclass(frozen=True)
class Document:
    """What a file holds."""

    classes: tuple[str, ...]
    probes: tuple[Entry, ...]
    slices: tuple[Entry, ...]

    @property
    def entries(self) -> tuple[Entry, ...]:
        return (*self.probes, *self.slices)

    def probe_set(self) -> ProbeSet:
        """Return the templates of the file, without its Python."""
        listed = [
            [entry.keys for entry in part if entry.keys is not None and entry.why is None]
            for part in (self.probes, self.slices)
        ]
        return ProbeSet.of(
            [_spec(keys).model_validate(keys) for keys in listed[0]],
            classes=self.classes,
            slices=[SliceSpec.model_validate(keys) for keys in listed[1]],
        )

    def text(self) -> str:
        lines = [ABOUT, f"classes: {_flow(list(self.classes))}\n", "probes:\n"]
        lines += map(_lines, self.probes)
        if any(entry.keys is not None for entry in self.slices):
            lines.append("slices:\n")
        lines += map(_lines, self.slices)
        return "".join(lines)


def document(
    probe_set: ProbeSet, where: Where, refused: Mapping[str, str] | None = None
) -> Document:
    """Return a ProbeSet as a file. *refused*: LFs that shall stay Python, and why."""
    read = readings(probe_set)
    m = len(probe_set.probes)
    entries = []
    for column, probe in enumerate((*probe_set.probes, *probe_set.slices)):
        stays = (refused or {}).get(probe.name)
        found = Python(stays) if stays is not None else read.get(column)
        entries.append(_entry(probe, found, probe_set.classes, where, is_slice=column >= m))
    return Document(probe_set.classes, tuple(entries[:m]), tuple(entries[m:]))


def constant_votes(probe_set: ProbeSet) -> dict[str, int]:
    """Return the highest class that the source of each Python LF votes for, where it says one.

    Whether or not the ProbeSet has that class. LFs whose source is not understood are left out.
    """
    votes = {p.name: _votes(p) for p in probe_set.probes if isinstance(p, PythonProbe)}
    return {name: max(some) for name, some in votes.items() if some}


def _votes(probe: PythonProbe) -> AbstractSet[int]:
    read = lift(probe, MAX_CLASSES)
    returned = returned_votes(probe) or frozenset()
    return returned | votes_of(read.tree) if isinstance(read, Lifted) else returned


def _entry(
    probe: Probe,
    found: Lifted | Python | None,
    classes: Sequence[str],
    where: Where,
    *,
    is_slice: bool,
) -> Entry:
    if isinstance(probe, TemplateProbe):
        keys = probe.condition.model_dump(by_alias=True, exclude_unset=True)
        return Entry(probe.name, keys if is_slice else keys | {"label": classes[probe.label]})
    if isinstance(probe, VoterProbe):
        return Entry(probe.name, _voter(probe, classes))
    if not isinstance(probe, PythonProbe):
        return Entry(probe.name, None, f"it is a {type(probe).__name__}")
    try:
        keys = _template(probe, found, classes, is_slice=is_slice)
    except Untranslatable as error:
        path = where(probe.source)
        return Entry(probe.name, None if path is None else {"python": path}, str(error))
    return Entry(probe.name, keys)


def _template(
    probe: PythonProbe, found: Lifted | Python | None, classes: Sequence[str], *, is_slice: bool
) -> dict[str, Any]:
    """Return an LF as a template that can be written and read again."""
    if not isinstance(found, Lifted):
        raise Untranslatable("" if found is None else found.why)
    keys: dict[str, Any] = {"name": probe.name}
    condition: ConditionKeys
    if is_slice:
        condition = translate_slice(found)
    else:
        label, condition = translate(found)
        keys["label"] = classes[label]
    described = docstring(probe)
    keys |= ({"description": described} if described else {}) | condition
    try:
        spec: type[SliceSpec | TemplateSpec] = SliceSpec if is_slice else TemplateSpec
        spec.model_validate(keys)
        same = read_yaml(_flow(keys), "template") == keys
    except (ValidationError, YAMLError, DocumentError) as error:
        raise Untranslatable("its names or constants cannot be written to a file") from error
    if not same:
        raise Untranslatable("its names or constants cannot be written to a file")
    return keys


def _voter(probe: VoterProbe, classes: Sequence[str]) -> dict[str, Any]:
    meant = {value: classes[vote] for value, vote in probe.votes.items() if vote != ABSTAIN}
    abstains = [value for value, vote in probe.votes.items() if vote == ABSTAIN]
    keys: dict[str, Any] = {"field": probe.field, "votes": meant}
    keys |= {"abstains": abstains} if abstains else {}
    return {"name": probe.name, "prediction" if probe.deployed else "external": keys}


def _spec(keys: Mapping[str, Any]) -> Any:
    return VoterSpec if keys.keys() & {"external", "prediction"} else TemplateSpec


def _lines(entry: Entry) -> str:
    """Return an entry: a line for each key, with what is in it on that line."""
    why = " ".join(f"{entry.name} is not a template: {entry.why}".split())  # names hold anything
    comment = f"  # {why}\n" if entry.why is not None else ""
    if entry.keys is None:
        return comment
    lines = [f"{_flow(key)}: {_flow(value)}\n" for key, value in entry.keys.items()]
    return comment + "  - " + "    ".join(lines)


def _flow(value: Any) -> str:
    """Return a value on one line; those with line ends are written as JSON."""
    text = dump([value], default_flow_style=True, width=10**9)
    if len(text.strip().splitlines()) == 1:
        return text.strip()[1:-1]
    as_json = json.dumps(value, ensure_ascii=False)
    return _UNSEEN.sub(lambda match: f"\\u{ord(match[0]):04x}", as_json)
