"""What a ProbeSet is made of, as plain data: to be kept, compared, and (templates) built again.

Source of Python functions is not in it, only its hash: user code never leaves its file.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError

from tidegauge_probes.errors import ProbeError
from tidegauge_probes.labeling.probe_set import Probe, ProbeSet, as_probe
from tidegauge_probes.labeling.templates import SliceSpec, TemplateSpec
from tidegauge_probes.labeling.voters import VoterProbe

Contents = Mapping[str, Any]
"""``classes``: names; ``probes`` and ``slices``: a list per LF, its name first. JSON."""

SEALED: Final = "sha256:"

_VOTER: Final = "voter"

_OWN_NAME: Final = re.compile(
    r"\A(?P<decorators>\s*(?:@.*?)?)(?P<def>^\s*def\s+)\w+", re.DOTALL | re.MULTILINE
)
_GIVEN_NAME: Final = re.compile(r"\bname\s*=\s*(?:'[^']*'|\"[^\"]*\"),?\s*")


def contents(probe_set: ProbeSet) -> Contents:
    """Return what stands for the ProbeSet's behaviour; equal for equal ids."""
    return {
        "classes": list(probe_set.classes),
        "probes": [_contents(probe) for probe in probe_set.probes],
        "slices": [_contents(probe) for probe in probe_set.slices],
    }


def names(part: list[list[Any]]) -> list[str]:
    """Return the names of the LFs, or slices, of a part of the contents."""
    return [str(item[0]) for item in part]


def deployed(found: Contents) -> tuple[int, ...]:
    """Return the columns that are the deployed model's own label (``ProbeSet.deployed``)."""
    voters = ((i, item) for i, item in enumerate(found["probes"]) if item[1] == _VOTER)
    return tuple(i for i, item in voters if item[-1])


def _contents(probe: Probe) -> Any:
    return _sealed(json.loads(json.dumps(probe.description())))


def _sealed(value: Any) -> Any:
    """Replace source texts (``digest`` keeps them under this key) by their hashes."""
    if isinstance(value, list):
        return [_sealed(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {k: _hash(v) if k == "source" else _sealed(v) for k, v in value.items()}


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


def rebuilt(found: Contents, probe_set: str) -> ProbeSet | None:
    """Build a ProbeSet of templates again; None if there is Python in it, or for another id."""
    classes = tuple(found["classes"])
    try:
        made = ProbeSet(
            probes=tuple(_probe(item, classes) for item in found["probes"]),
            classes=classes,
            slices=tuple(_template(SliceSpec, item, classes) for item in found["slices"]),
            origin=f"ProbeSet {probe_set}",
        )
    except (ValidationError, ProbeError):
        return None
    return made if made.id == probe_set else None


def _probe(item: list[Any], classes: tuple[str, ...]) -> Probe:
    if item[1] == _VOTER:
        name, _, field, votes, deployed = item
        return VoterProbe(name, field, dict(votes), deployed)
    return _template(TemplateSpec, item, classes)


def _template(
    spec: type[TemplateSpec | SliceSpec], item: list[Any], classes: tuple[str, ...]
) -> Probe:
    return as_probe(spec.model_validate(item[-1]), classes)
