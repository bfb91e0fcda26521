"""Commands start quickly: what they import is told by the modules, not by a clock."""

from __future__ import annotations

import importlib
import subprocess
import sys
from typing import Any

import pytest

MAIN = importlib.import_module("tidegauge_service.cli.main")
PROBES = importlib.import_module("tidegauge_service.cli.probes.commands")

HEAVY = {
    "alembic",
    "altair",
    "fastapi",
    "kafka",
    "numpy",
    "pandas",
    "pyarrow",
    "scipy",
    "sklearn",
    "sqlalchemy",
    "vl_convert",
}


def imported(*arguments: str) -> set[str]:
    """Return the modules that a command has imported when it ends."""
    code = (
        "import sys\n"
        f"sys.argv = ['tidegauge', *{arguments!r}]\n"
        "from tidegauge_service.cli import main\n"
        "try:\n    main()\n"
        "except SystemExit as error:\n    code = error.code\n"
        "print(*sys.modules, sep='\\n', file=sys.stderr)\n"
        "sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stderr.split())


@pytest.mark.parametrize("arguments", [("--version",), ("--help",), ("probes", "--help")])
def test_no_heavy_module_is_imported_to_say_what_there_is(arguments: tuple[str, ...]) -> None:
    modules = imported(*arguments)
    assert sorted(HEAVY & modules) == []
    assert len(modules) < 550


@pytest.mark.parametrize("row", [*MAIN.COMMANDS, *PROBES.COMMANDS], ids=lambda row: row.name)
def test_the_table_says_what_the_command_says(row: Any) -> None:
    assert row.load().help.split("\n")[0] == row.help


def test_an_unknown_command_is_refused() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tidegauge_service.cli", "probes", "lst"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert "Did you mean 'list'?" in done.stderr
