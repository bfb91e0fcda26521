"""Modules that are imported when they are first used.

``import tidegauge_probes`` stays quick, and what only some need is an extra: without it, all that
does not need it still works.

>>> special = LazyModule("scipy.special", extra="statistics")  # imports nothing
>>> float(special.expit(0.0))
0.5
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any

from tidegauge_probes.errors import MissingExtraError


class LazyModule(ModuleType):
    """Stands for the module *name* until one of its attributes is read.

    *extra* is the extra of ``tidegauge-probes`` that installs it: MissingExtraError where it is
    not installed. Without *extra*, its absence is an ordinary ModuleNotFoundError.
    """

    def __init__(self, name: str, *, extra: str = "") -> None:
        super().__init__(name)
        self._extra = extra

    def __getattr__(self, name: str) -> Any:
        """Import the module and return one of its attributes."""
        if name.startswith("__"):  # asked by inspect, copy and doctest of any object
            msg = f"module {self.__name__!r} has not been imported yet"
            raise AttributeError(msg)
        value = getattr(imported(self.__name__, extra=self._extra), name)
        setattr(self, name, value)  # the next look does not come here
        return value


def imported(name: str, *, extra: str = "") -> ModuleType:
    """Import and return the module *name*; MissingExtraError if *extra* would install it."""
    package = name.partition(".")[0]
    try:
        import_module(package)
    except ModuleNotFoundError as error:
        if not extra or error.name != package:  # it is there, but something that it needs is not
            raise
        msg = f"{package} is not installed: pip install 'tidegauge-probes[{extra}]'"
        raise MissingExtraError(msg, name=package) from error
    return import_module(name)
