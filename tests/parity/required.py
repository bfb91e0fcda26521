"""What a plain development environment does not have: torch and spaCy.

Torch is gigabytes on Linux, and spaCy a hundred megabytes: ``make parity`` installs them into an
environment of their own. There a test that lacks them fails; elsewhere it is skipped and says so,
on CI as well, which runs ``make parity`` or does not.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from typing import Any

import pytest

UNDER_MAKE_PARITY = os.environ.get("TIDEGAUGE_PARITY") == "1"


def needed(module: str) -> Any:
    """Import a module, or skip the test file that asks for it, with one line that says why."""
    if importlib.util.find_spec(module) is None and not UNDER_MAKE_PARITY:
        why = f"{module} is too large for every test run; `make parity` runs these tests"
        pytest.skip(why, allow_module_level=True)
    return importlib.import_module(module)
