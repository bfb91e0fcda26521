"""Receivers from the settings: ``name: {kind: …, …}``. Pure: the caller says which kinds exist."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, Field, fields
from typing import Any, Final

from tidegauge_alerts.errors import ReceiverError
from tidegauge_alerts.receivers.receiver import Receiver, is_many, key_of
from tidegauge_probes.errors import nearest

FindKind = Callable[[str], type[Receiver] | None]
"""Returns the class of a kind, if there is one; raises ReceiverError for a broken plug-in."""

_TYPED: Final = ("int", "float", "bool", "int | None", "float | None", int, float, bool)


def parse(
    name: str, given: Mapping[str, Any], find: FindKind, known_kinds: Callable[[], Iterable[str]]
) -> Receiver:
    """Return one receiver; ReceiverError names it and the nearest known key or kind."""
    if not isinstance(given, Mapping):
        raise ReceiverError(f"receiver '{name}' must be a mapping, e.g. {{kind: log}}")
    values = dict(given)
    kind = values.pop("kind", None)
    if kind is None:
        raise ReceiverError(f"receiver '{name}' has no kind{nearest('', known_kinds())}")
    receiver = find(kind) if isinstance(kind, str) else None
    if receiver is None:
        raise ReceiverError(
            f"receiver '{name}': there is no kind '{kind}'{nearest(str(kind), known_kinds())}"
        )
    return receiver(**_arguments(name, str(kind), receiver, values))


def keys(receiver: type[Receiver]) -> dict[str, Field[Any]]:
    """Return key of the settings → field, for each but the name."""
    return {key_of(f.metadata, f.name): f for f in fields(receiver) if f.name != "name"}


def typed_keys(receiver: type[Receiver]) -> frozenset[str]:
    """Return the keys whose values are numbers or booleans, not texts."""
    return frozenset(key for key, field in keys(receiver).items() if field.type in _TYPED)


def _arguments(
    name: str, kind: str, receiver: type[Receiver], values: Mapping[str, Any]
) -> dict[str, Any]:
    known = keys(receiver)
    for key in values:
        if key not in known:
            raise ReceiverError(
                f"receiver '{name}': unknown key '{key}' for kind "
                f"{kind}{nearest(str(key), [*known, 'kind'])}"
            )
    for key, field in known.items():
        if key not in values and field.default is MISSING and field.default_factory is MISSING:
            what = f"{key}: one value or a list" if is_many(field.metadata) else f"a {key}"
            raise ReceiverError(f"receiver '{name}': kind {kind} needs {what}")
    given = {known[key].name: _value(known[key], value) for key, value in values.items()}
    return {"name": name, **given}


def _value(field: Field[Any], value: Any) -> Any:
    """Return a value for a field: a list as a tuple, and one text where many may be given."""
    if isinstance(value, list):
        return tuple(value)
    return (value,) if is_many(field.metadata) and isinstance(value, str) else value
