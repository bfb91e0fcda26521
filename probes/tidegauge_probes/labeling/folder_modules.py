"""Modules next to the file that names them: each folder has its own.

Two folders may both hold ``lfs.py`` (two versions of the LFs, say), and each of them its own
``helpers.py``. Python knows one module per name, so the second ``lfs`` would be the first. Here the
first keeps its name; one of another folder is known as ``lfs__in_3f9a…``. What a module imports is
looked for next to it first, also when a function does so later, as Python looks for what a script
imports next to the script.

That works through the ``__import__`` that a module's code sees; ``importlib.import_module`` called
by an LF takes plain names, and so finds the first folder that has one.
"""

from __future__ import annotations

import builtins
import hashlib
import importlib
import importlib.util
import re
import sys
import types
from collections.abc import Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from typing import Any, Final

_SUFFIX: Final = re.compile(r"__in_[0-9a-f]{12}(?=\.|$)")


def import_beside(name: str, folder: Path) -> types.ModuleType:
    """Import a module of *folder*, or an installed one; raises whatever its code raises."""
    scope = _scope_of(folder)
    if str(scope.folder) not in sys.path:  # for processes that LFs start, and what they unpickle
        sys.path.append(str(scope.folder))
    importlib.invalidate_caches()  # its file may be newer than the last look at the folder
    return importlib.import_module(scope.known_as(name))


def known_as(name: str, folder: Path) -> str:
    """Return the name in ``sys.modules`` of what ``import_beside`` imports."""
    return _scope_of(folder).known_as(name)


def plain_name(module: str) -> str:
    """Return the name by which a module is imported, whichever folder it is in.

    >>> plain_name("lfs__in_3f9a00c1d2e3.words")
    'lfs.words'
    """
    return _SUFFIX.sub("", module)


class _Scope:
    """The modules of one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._suffix = f"__in_{hashlib.sha256(str(folder).encode()).hexdigest()[:12]}"
        # What code sees as its builtins: all of them, and an `import` that looks here first.
        self.builtins = {**vars(builtins), "__import__": self._import}

    def known_as(self, name: str) -> str:
        """Return the name in ``sys.modules`` of a module that code of this folder calls *name*."""
        top, dot, rest = name.partition(".")
        found = PathFinder.find_spec(top, [str(self.folder)])
        if found is None or (found.origin is None and _elsewhere(top) is not None):
            return name  # a folder without __init__.py gives way to what is installed
        return self._claimed(top, found) + dot + rest

    def _claimed(self, top: str, found: ModuleSpec) -> str:
        loaded = sys.modules.get(top)
        other = _elsewhere(top) if loaded is None else loaded.__spec__
        free = _same(other, found) if loaded is not None or other is not None else True
        known = top if free else top + self._suffix
        _owners[known] = self
        return known

    def _import(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,  # noqa: A002  (Python's)
        locals: Mapping[str, Any] | None = None,  # noqa: A002
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> types.ModuleType:
        """Do what ``import`` does; modules of the standard library are not looked for here."""
        top = name.partition(".")[0]
        if level == 0 and top not in sys.stdlib_module_names:
            name = self.known_as(name)
        return builtins.__import__(name, globals, locals, fromlist or (), level)


_scopes: Final[dict[Path, _Scope]] = {}
_owners: Final[dict[str, _Scope]] = {}
"""Top-level name in ``sys.modules`` → the folder where the module is found."""


def _scope_of(folder: Path) -> _Scope:
    resolved = folder.resolve()
    if resolved not in _scopes:
        _scopes[resolved] = _Scope(resolved)
    return _scopes[resolved]


def _elsewhere(top: str) -> ModuleSpec | None:
    """Find a module where other code would, without the folders of LFs."""
    ours = {str(folder) for folder in _scopes}
    path = [entry for entry in sys.path if entry not in ours]
    for finder in sys.meta_path:
        if finder is _FINDER:
            continue
        spec = finder.find_spec(top, path if finder is PathFinder else None)
        if spec is not None:
            return spec
    return None


def _same(one: ModuleSpec | None, other: ModuleSpec) -> bool:
    """Whether both are the same file, or the same folder."""
    return one is not None and _places(one) == _places(other)


def _places(spec: ModuleSpec) -> set[Path]:
    origin = spec.origin if spec.has_location else None
    found = [origin] if origin else list(spec.submodule_search_locations or ())
    return {Path(folder).resolve() for folder in found}


class _Loader(SourceFileLoader):
    """Runs a module so that its imports are looked for next to it."""

    def __init__(self, name: str, path: str, scope: _Scope) -> None:
        super().__init__(name, path)
        self._scope = scope

    def exec_module(self, module: types.ModuleType) -> None:
        vars(module)["__builtins__"] = self._scope.builtins
        super().exec_module(module)


class _Finder(MetaPathFinder):
    """Finds the modules that folders own, by the name that they are known as."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: types.ModuleType | None = None,
    ) -> ModuleSpec | None:
        """Find a module of a folder, or a part of a package there."""
        scope = _owners.get(fullname.partition(".")[0])
        if scope is None:
            return None
        name = fullname if path is not None else plain_name(fullname)
        where = [str(scope.folder)] if path is None else list(path)
        found = PathFinder.find_spec(name, where, target)
        return None if found is None else _owned(found, fullname, scope)


def _owned(found: ModuleSpec, name: str, scope: _Scope) -> ModuleSpec:
    """Return *found* under another name, its code run in a scope."""
    inside = found.submodule_search_locations
    if found.origin is not None and isinstance(found.loader, SourceFileLoader):
        loader = _Loader(name, found.origin, scope)
        made = importlib.util.spec_from_file_location(
            name, found.origin, loader=loader, submodule_search_locations=inside
        )
        return made or found
    if found.origin is None and inside is not None and found.name != name:
        made = ModuleSpec(name, None, is_package=True)
        made.submodule_search_locations = list(inside)
        return made
    found.name = name
    return found


_FINDER: Final = _Finder()
sys.meta_path.insert(0, _FINDER)
