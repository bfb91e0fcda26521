"""What a ProbeSet is made of, as plain data: hashed for its id, kept in the database, compared.

This is how it is kept, as JSON::

    {"version": 1,
     "classes": ["HAM", "SPAM"],
     "probes": [
       {"type": "template", "name": "free", "condition": {"keyword": {"any": ["a"]}}, "label": 1},
       {"type": "voter", "name": "model", "field": "label", "votes": {"s": 1}, "deployed": true},
       {"type": "python", "name": "prize", "definition": {"type": "function", "source": "sha256:…"}}
     ],
     "slices": [{"type": "template", "name": "short", "condition": {"length": {"below": 40}}}]}

Python is described as in ``digest``. The source of a function is hashed before it is kept: user
code never leaves its file.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Final

from tidegauge_probes.errors import ProbeError

VERSION: Final = 1
"""Of the document. A new version changes ids, so baselines must be fitted again."""

SEALED: Final = "sha256:"

_HOLD_SOURCE: Final = frozenset({"function", "class"})
"""Types of descriptions (see ``digest``) whose ``source`` is code."""

_OWN_NAME: Final = re.compile(
    r"\A(?P<decorators>\s*(?:@.*?)?)(?P<def>^\s*def\s+)\w+", re.DOTALL | re.MULTILINE
)
_GIVEN_NAME: Final = re.compile(r"\bname\s*=\s*(?:'[^']*'|\"[^\"]*\"),?\s*")


@dataclass(frozen=True)
class TemplateContents:
    """An LF made of a template, or a slicing function, which has no ``label``.

    ``condition``: its keys as in a ProbeSet file. ``label``: the index of a class.
    """

    TYPE: ClassVar[str] = "template"

    name: str
    condition: Mapping[str, Any]
    label: int | None = None


@dataclass(frozen=True)
class VoterContents:
    """An LF that reads a vote in the record. ``votes``: value → index of a class, or -1."""

    TYPE: ClassVar[str] = "voter"

    name: str
    field: str
    votes: Mapping[str, int]
    deployed: bool


@dataclass(frozen=True)
class PythonContents:
    """An LF or slicing function in Python. ``definition``: the user's object (see ``digest``)."""

    TYPE: ClassVar[str] = "python"

    name: str
    definition: Any

    def sealed(self) -> PythonContents:
        """Return it with hashes in the place of source texts."""
        return replace(self, definition=_sealed(self.definition))


ProbeContents = TemplateContents | VoterContents | PythonContents

_TYPES: Final[Mapping[str, type[ProbeContents]]] = {
    kind.TYPE: kind for kind in (TemplateContents, VoterContents, PythonContents)
}


@dataclass(frozen=True)
class Contents:
    """What stands for the behaviour of a ProbeSet; equal for equal ids."""

    classes: tuple[str, ...] = ()
    probes: tuple[ProbeContents, ...] = ()
    slices: tuple[ProbeContents, ...] = ()

    @property
    def deployed(self) -> tuple[int, ...]:
        """Columns that are the deployed model's own label (``ProbeSet.deployed``)."""
        voters = ((i, one) for i, one in enumerate(self.probes) if isinstance(one, VoterContents))
        return tuple(i for i, one in voters if one.deployed)

    def sealed(self) -> Contents:
        """Return what may be kept: without any source text."""
        parts = (
            tuple(one.sealed() if isinstance(one, PythonContents) else one for one in part)
            for part in (self.probes, self.slices)
        )
        return Contents(self.classes, *parts)

    def document(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {
            "version": VERSION,
            "classes": list(self.classes),
            "probes": [_item(one) for one in self.probes],
            "slices": [_item(one) for one in self.slices],
        }


def read_contents(document: Mapping[str, Any]) -> Contents:
    """Return what ``Contents.document`` was made of; ProbeError if this version cannot read it."""
    if document.get("version") != VERSION:
        msg = (
            f"this ProbeSet was saved in format {document.get('version')!r}, but this "
            "tidegauge reads "
        )
        raise ProbeError(f"{msg}format {VERSION}: use the tidegauge that deployed it")
    return Contents(
        tuple(document["classes"]), _read(document["probes"]), _read(document["slices"])
    )


def _item(probe: ProbeContents) -> dict[str, Any]:
    found = {field.name: getattr(probe, field.name) for field in fields(probe)}
    return {"type": probe.TYPE, **{k: v for k, v in found.items() if v is not None}}


def _read(items: Sequence[Mapping[str, Any]]) -> tuple[ProbeContents, ...]:
    return tuple(
        _TYPES[item["type"]](**{k: v for k, v in item.items() if k != "type"}) for item in items
    )


def _sealed(value: Any) -> Any:
    if isinstance(value, list):
        return [_sealed(item) for item in value]
    if not isinstance(value, dict):
        return value
    code = value.get("type") in _HOLD_SOURCE
    return {k: _hash(v) if code and k == "source" else _sealed(v) for k, v in value.items()}


def _hash(source: Any) -> str:
    nameless = _without_name(source) if isinstance(source, str) else source
    return SEALED + hashlib.sha256(json.dumps(nameless).encode()).hexdigest()[:16]


def _without_name(source: str) -> str:
    r"""Return a function's text without its name: another name is no other code.

    >>> _without_name("@labeling_function(name='a')\ndef a(x):\n    return 1")
    '@labeling_function()\ndef _(x):\n    return 1'
    """
    return _OWN_NAME.sub(
        lambda found: _GIVEN_NAME.sub("", found["decorators"]) + found["def"] + "_", source
    )
