"""``${NAME}`` in stream files and settings: a value comes from the environment.

``${NAME}`` takes a variable that must be set; ``${NAME:-default}`` takes the default where it is
not set or empty; ``$$`` is a dollar sign. Only values are looked at, after the document was read,
and the result is always a text: a variable cannot add a key, and is not looked at again.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Final

from tidegauge_probes.documents.reader import FromVariable, read_file
from tidegauge_probes.errors import DocumentError
from tidegauge_service.errors import SettingsError

_REFERENCE: Final = re.compile(r"\$(?:\$|\{([^}]*)(\}?))")
_INNER: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.DOTALL)


def read(path: Path) -> Any:
    """Return what a file holds, variables replaced; SettingsError says where it is wrong."""
    try:
        return read_file(path, substituted)
    except OSError as error:
        msg = f"cannot read {path}: {error.strerror or error}"
        raise SettingsError(msg) from error
    except DocumentError as error:
        raise SettingsError(str(error)) from error


def substituted(text: str) -> str:
    """Return *text* with its variables replaced; ValueError names one that is not set.

    What holds a variable's value shows as it was written wherever it is printed by ``repr``.
    """
    if "$" not in text:
        return text
    found = _REFERENCE.sub(_value, text)
    return found if found == text.replace("$$", "$") else FromVariable(found, text)


def _value(match: re.Match[str]) -> str:
    if match[0] == "$$":
        return "$"
    inner = _INNER.fullmatch(match[1])
    if inner is None or not match[2]:
        msg = f"'{match[0]}' is not a variable: write ${{NAME}} or ${{NAME:-default}}, and $$ for $"
        raise ValueError(msg)
    name, default = inner[1], inner[2]
    value = os.environ.get(name)
    if default is not None:
        return value or default
    if value is None:
        msg = f"variable {name} is not set: set it, or give a default: ${{{name}:-default}}"
        raise ValueError(msg)
    return value
