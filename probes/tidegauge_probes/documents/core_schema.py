"""Scalars of the YAML 1.2 core schema (YAML 1.2.2, chapter 10.3), read and written.

PyYAML resolves scalars by YAML 1.1, where ``NO`` is false, ``1:30`` is 90 and ``01234`` is 668.
Here there are only null, booleans, numbers and strings; ``NO``, dates and ``1:30`` are strings.
"""

from __future__ import annotations

import math
import re
from typing import Any, Final

import yaml

Scalar = str | int | float | bool | None

PREFIX: Final = "tag:yaml.org,2002:"

_CONSTANTS: Final[dict[str, Scalar]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER: Final = re.compile(r"[-+]?[0-9]+")
_OCTAL: Final = re.compile(r"0o[0-7]+")
_HEXADECIMAL: Final = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INFINITE: Final = re.compile(r"[-+]?\.(inf|Inf|INF)")
_NAN: Final = (".nan", ".NaN", ".NAN")
_ZEROS: Final = re.compile(r"[-+]?0[0-9]")

_NUMBERS: Final = (_INTEGER, _OCTAL, _HEXADECIMAL, _FLOAT, _INFINITE)
_BREAKS: Final = frozenset("\x85\u2028\u2029\ufeff")

_DIGITS: Final = 4_000
"""Python refuses to read longer integers, because that takes quadratic time."""


def resolve(text: str) -> Scalar:
    """Return what a plain (unquoted) scalar stands for.

    Raises ValueError, with the fix, for numbers that would not mean what was written: ``01234`` is
    1234 in YAML, but people write it for postal codes.

    >>> [resolve(text) for text in ("NO", "1:30", "2026-01-01", "0o17", "1e3", "~")]
    ['NO', '1:30', '2026-01-01', 15, 1000.0, None]
    """
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INTEGER.fullmatch(text) or _FLOAT.fullmatch(text):
        return _number(text)
    if len(text) <= _DIGITS and _OCTAL.fullmatch(text):
        return int(text, 0)
    if len(text) <= _DIGITS and _HEXADECIMAL.fullmatch(text):
        return int(text, 0)
    if _INFINITE.fullmatch(text):
        return -math.inf if text.startswith("-") else math.inf
    return math.nan if text in _NAN else text


def _number(text: str) -> int | float:
    if _ZEROS.match(text):
        msg = f"{_short(text)} has a leading zero: quote it if it is a string, or remove the zero"
        raise ValueError(msg)
    if len(text) > _DIGITS:
        msg = f"{_short(text)} is too long for a number: quote it if it is a string"
        raise ValueError(msg)
    if _INTEGER.fullmatch(text):
        return int(text)
    number = float(text)
    if math.isinf(number):
        msg = f"{_short(text)} is too large for a number: quote it if it is a string"
        raise ValueError(msg)
    return number


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:37]}..."  # noqa: PLR2004


def tag_of(value: Scalar) -> str:
    """Return the core schema's tag of a value: ``str``, ``int``, ``float``, ``bool``, ``null``."""
    return "null" if value is None else type(value).__name__


class _Dumper(yaml.SafeDumper):
    """Quotes strings that YAML 1.1 or 1.2 would read as something else, and writes no aliases."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    style = "'" if any(pattern.fullmatch(text) for pattern in _NUMBERS) else None
    if _BREAKS.intersection(text):  # PyYAML writes them unescaped, and reads them as spaces
        style = '"'
    return dumper.represent_scalar(f"{PREFIX}str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def dump(data: Any, **options: Any) -> str:
    """Return *data* as YAML that this module and YAML 1.1 readers read in the same way.

    *options* are those of ``yaml.dump``.
    """
    text: str = yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, **options)
    return text
