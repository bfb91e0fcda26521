"""How options and arguments are read where Typer's own words would not help."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any

import typer
from typer.core import TyperCommand

from tidegauge_probes.errors import nearest
from tidegauge_service.errors import SettingsError


def one_of(kind: type[StrEnum], name: str, help: str) -> Any:  # noqa: A002  (as Typer has it)
    """Return an option that takes a value of *kind*; SettingsError names the nearest one."""
    return typer.Option(name, help=help, parser=_parser(kind, name), metavar=f"[{'|'.join(kind)}]")


def argument_of(kind: type[StrEnum], name: str, help: str) -> Any:  # noqa: A002
    """Return the same as an argument, which messages call *name*."""
    return typer.Argument(help=help, parser=_parser(kind, name), metavar="|".join(kind))


def _parser(kind: type[StrEnum], name: str) -> Callable[[str], StrEnum]:
    values = [str(value) for value in kind]

    def parsed(text: str) -> StrEnum:
        if text not in values:
            msg = f"{name}: unknown value '{text}'{nearest(text, values)}"
            raise SettingsError(msg)
        return kind(text)

    return parsed


class OptionsOnly(TyperCommand):
    """A command without arguments: a bare value is one whose option is missing."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the options; SettingsError names the one that a bare value most likely belongs to.

        That is the option with this value among its own, or ``--stream``.
        """
        ctx.allow_extra_args = True
        left = super().parse_args(ctx, args)
        if left:
            fitting = (p.opts[0] for p in self.params if left[0] in _values(p.metavar))
            option = next(fitting, "--stream")
            msg = f"Unexpected argument '{left[0]}'. Did you mean `{option} {left[0]}`?"
            raise SettingsError(msg)
        return left


def _values(metavar: str | None) -> list[str]:
    return (metavar or "").strip("[]").split("|")
