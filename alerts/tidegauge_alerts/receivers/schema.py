"""The JSON Schema of receivers in the settings, so that editors complete their keys. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING
from typing import Any, Final

from tidegauge_alerts.receivers.configuration import keys
from tidegauge_alerts.receivers.receiver import Receiver, is_many

_VARIABLE: Final = {"type": "string", "pattern": r"\$\{"}
"""A number or boolean that comes from the environment: ``${NAME}``."""

_TEXT: Final = {"type": "string"}
_TYPES: Final[Mapping[str, dict[str, Any]]] = {
    "bool": {"anyOf": [{"type": "boolean"}, _VARIABLE]},
    "float": {"anyOf": [{"type": "number"}, _VARIABLE]},
    "int": {"anyOf": [{"type": "integer"}, _VARIABLE]},
    "Mapping[str, str]": {"type": "object", "additionalProperties": _TEXT},
}


def schema_of(kinds: Mapping[str, type[Receiver]]) -> dict[str, Any]:
    """Return the schema of a receiver of one of *kinds*, or of a plug-in with unknown keys."""
    other = {
        "type": "object",
        "properties": {"kind": {"type": "string", "not": {"enum": sorted(kinds)}}},
        "required": ["kind"],
    }
    return {"oneOf": [*(_of_kind(kind, kinds[kind]) for kind in sorted(kinds)), other]}


def _of_kind(kind: str, receiver: type[Receiver]) -> dict[str, Any]:
    found = keys(receiver)
    needed = [
        key
        for key, field in found.items()
        if field.default is MISSING and field.default_factory is MISSING
    ]
    return {
        "type": "object",
        "title": receiver.__name__,
        "properties": {
            "kind": {"const": kind},
            **{key: _type(str(f.type), many=is_many(f.metadata)) for key, f in found.items()},
        },
        "required": ["kind", *needed],
        "additionalProperties": False,
    }


def _type(written: str, *, many: bool) -> dict[str, Any]:
    if many:
        return {"anyOf": [_TEXT, {"type": "array", "items": _TEXT}]}
    return _TYPES.get(written.removesuffix(" | None"), _TEXT)
