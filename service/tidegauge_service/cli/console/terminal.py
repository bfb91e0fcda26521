"""What commands print with, and how they read their options."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Column, Table
from rich.text import Text

from tidegauge_service.clock import from_iso
from tidegauge_service.config.settings import Settings, load_settings
from tidegauge_service.errors import SettingsError

# All but tab and line end; what turns the direction of writing; halves of characters.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class LiteralConsole(Console):
    """Prints texts as they are: they hold names, addresses and values that people wrote.

    Rich would take ``[red]`` for markup and ``:LOOP:`` for ➿, and let an escape sequence through
    to the terminal. What is to have a style is a ``Text`` (see ``styled``).
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """Return a text with its control characters escaped, tabs and line ends apart."""
        return super().render_str(printable(text), **options)


def printable(text: str) -> str:
    """Return *text* with its control characters as Python writes them, tabs and line ends apart."""
    return text if text.isprintable() else _CONTROL.sub(lambda m: repr(m[0])[1:-1], text)


def styled(text: str, style: str) -> Text:
    """Return our own words in a style, e.g. ``bold red``."""
    return Text(text, style=style)


out = LiteralConsole(soft_wrap=True)
err = LiteralConsole(stderr=True)


def print_json(data: Any) -> None:
    """Print one JSON object, for scripts."""
    typer.echo(json.dumps(data, ensure_ascii=False))


def settings_of(context: typer.Context, **overrides: Any) -> Settings:
    """Return the settings that a command runs with."""
    path: Path | None = context.obj
    return load_settings(path, **overrides)


def moment(text: str | None, option: str) -> int | None:
    """Read an option with a time, as epoch ms; SettingsError otherwise."""
    try:
        return None if text is None else from_iso(text)
    except ValueError as error:
        msg = f"{option}: '{text}' is not an ISO 8601 time, e.g. 2020-03-11"
        raise SettingsError(msg) from error


def span(since: str | None, until: str | None) -> tuple[int | None, int | None]:
    """Read --since and --until, as epoch ms; SettingsError if nothing can lie between."""
    since_ms, until_ms = moment(since, "--since"), moment(until, "--until")
    if since_ms is not None and until_ms is not None and since_ms >= until_ms:
        msg = f"--since {since} must be before --until {until}"
        raise SettingsError(msg)
    return since_ms, until_ms


def counted(n: int, what: str) -> str:
    """Return a number of things.

    >>> counted(1, "partition"), counted(0, "partition")
    ('1 partition', '0 partitions')
    """
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def table(*whole: str, last: str) -> Table:
    """Return a table that fits into 80 columns if its *whole* columns do: only the last is folded.

    What people copy (ids, times) goes into the *whole* ones; a row may have several lines.
    """
    return Table(*(Column(name, no_wrap=True) for name in whole), Column(last, overflow="fold"))


@contextmanager
def progress(title: str, total: int | None = None) -> Iterator[Any]:
    """Show a progress bar on the terminal (nothing if there is none); yields advance(n)."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task(title, total=total)
        yield lambda n: bar.advance(task, n)


BLOCKS = "▁▂▃▄▅▆▇█"


def sparkline(values: list[float | None]) -> str:
    """Draw values as blocks between the lowest and the highest; a space where there is none.

    >>> sparkline([0.0, 0.5, None, 1.0])
    '▁▅ █'
    """
    known = [v for v in values if v is not None]
    if not known:
        return ""
    low, span = min(known), (max(known) - min(known)) or 1.0
    steps = len(BLOCKS) - 1
    return "".join(" " if v is None else BLOCKS[round((v - low) / span * steps)] for v in values)
