"""Commands that are imported when they are called, so that ``tidegauge --help`` starts at once.

A group is a table of rows: name, where the command is, the first line of its help. The table
stands in for the modules until one of them is needed; a test holds its lines against theirs.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from tidegauge_service.cli.console.own_process import OWN_PROCESS


@dataclass(frozen=True)
class LazyCommand:
    """A command or a group of commands, and where to find it."""

    name: str
    place: str
    """``module:attribute``, below ``tidegauge_service.cli``; a function or a ``typer.Typer``."""
    help: str
    calls_lfs: bool = False
    """Whether it may run code of the user, and so needs a process of its own."""

    def load(self) -> Any:
        """Import it and return it as Typer's command."""
        if self.calls_lfs:
            OWN_PROCESS.enter()
        module, _, attribute = self.place.partition(":")
        found = getattr(import_module(f"tidegauge_service.cli.{module}"), attribute)
        if isinstance(found, typer.Typer):
            command: Any = typer.main.get_group(found)
        else:
            alone = typer.Typer(add_completion=False)
            alone.command(self.name)(found)
            command = typer.main.get_command(alone)
        command.name = self.name
        return command


class _Commands(MutableMapping[str, Any]):
    """Commands by name, each imported when it is asked for."""

    def __init__(self, rows: Sequence[LazyCommand]) -> None:
        self._rows = {row.name: row for row in rows}
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._loaded:
            self._loaded[name] = self._rows[name].load()
        return self._loaded[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._loaded[name] = command

    def __delitem__(self, name: str) -> None:
        del self._rows[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


def lazy_group(*rows: LazyCommand) -> type[TyperGroup]:
    """Return the class of a Typer group with these commands, for ``typer.Typer(cls=...)``."""

    class LazyGroup(TyperGroup):
        """Loads a command to run it, not to list it."""

        def __init__(self, **attributes: Any) -> None:
            super().__init__(**attributes)
            self.commands = _Commands(rows)

        def format_help(self, ctx: Any, formatter: Any) -> None:
            """List the commands by their rows."""
            loading = self.commands
            self.commands = {row.name: _listed(row) for row in rows}
            try:
                super().format_help(ctx, formatter)
            finally:
                self.commands = loading

    return LazyGroup


def _listed(row: LazyCommand) -> TyperCommand:
    return TyperCommand(row.name, help=row.help)
