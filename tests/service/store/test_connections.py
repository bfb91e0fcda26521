"""Only the database opens transactions; the functions of the store are given one."""

from __future__ import annotations

import ast
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tidegauge_service import store

OPENERS = {
    "engine": "the database itself",
    "backup": "copies the database's file, beside its transactions",
}
"""Modules of the store that may open transactions, and why."""

OPENING = {"read", "write", "connect", "begin", "begin_nested"}

MODULES = sorted(
    found.name.removeprefix("tidegauge_service.store.")
    for found in pkgutil.walk_packages(store.__path__, "tidegauge_service.store.")
    if ".migrations" not in found.name and not found.ispkg
)
GIVEN = [name for name in MODULES if name not in OPENERS]


def functions(name: str) -> Iterator[Callable[..., Any]]:
    """Yield the public functions of a module, and the public methods of its public classes."""
    module = import_module(f"tidegauge_service.store.{name}")
    public = [value for key, value in vars(module).items() if not key.startswith("_")]
    for owner in (module, *filter(inspect.isclass, public)):
        for key, value in vars(owner).items():
            found = getattr(value, "__func__", value)
            ours = inspect.isfunction(found) and found.__module__ == module.__name__
            if ours and not key.startswith("_"):
                yield found


def parameters(function: Callable[..., Any]) -> list[str]:
    """Return the annotations of a function's parameters, without `self` and `cls`."""
    found = inspect.signature(function).parameters.values()
    return [str(p.annotation) for p in found if p.name not in {"self", "cls"}]


def is_connection(annotation: str) -> bool:
    return annotation in {"sa.Connection", "Connection"}


def test_the_modules_are_found() -> None:
    assert {"streams", "candidates", "ingest.commit", "windows.queries", *OPENERS} <= {*MODULES}
    taken = [f for name in GIVEN for f in functions(name) if any(map(is_connection, parameters(f)))]
    assert len(taken) > 90


@pytest.mark.parametrize("name", GIVEN)
def test_a_connection_is_the_first_argument_and_no_database_is_any(name: str) -> None:
    for function in functions(name):
        annotations = parameters(function)
        assert not any("Database" in annotation for annotation in annotations), function
        assert not any(map(is_connection, annotations[1:])), function


@pytest.mark.parametrize("name", GIVEN)
def test_nothing_in_the_store_opens_a_transaction(name: str) -> None:
    path = Path(str(import_module(f"tidegauge_service.store.{name}").__file__))
    opened = [
        f"{path.name}:{call.lineno}: {ast.unparse(call.func)}"
        for call in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr in OPENING
    ]
    assert opened == []
