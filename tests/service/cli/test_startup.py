"""Commands start quickly: what they import is told by the modules, not by a clock."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
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
    return set(started(*arguments).stderr.split())


def started(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command; its standard error is the modules that it has imported when it ends."""
    code = (
        "import sys\n"
        f"sys.argv = ['tidegauge', *{arguments!r}]\n"
        "from tidegauge_service.cli import main\n"
        "try:\n    main()\n"
        "except SystemExit as error:\n    code = error.code\n"
        "print(*sys.modules, sep='\\n', file=sys.stderr)\n"
        "sys.exit(code)"
    )
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )


@pytest.mark.parametrize("arguments", [("--version",), ("--help",), ("probes", "--help")])
def test_no_heavy_module_is_imported_to_say_what_there_is(arguments: tuple[str, ...]) -> None:
    modules = imported(*arguments)
    assert sorted(HEAVY & modules) == []
    assert len(modules) < 550


PROBES_YAML = """
classes: [HAM, SPAM]
probes:
  - {name: free, label: SPAM, keyword: {any: [free]}}
  - {name: short, label: HAM, length: {below: 20}}
"""


@pytest.mark.parametrize("on_a_sample", [False, True])
def test_a_check_of_lfs_needs_no_database_no_kafka_and_no_tables(
    tmp_path: Path, *, on_a_sample: bool
) -> None:
    """It is run again and again while LFs are written: what it imports is what it takes."""
    (tmp_path / "probes.yaml").write_text(PROBES_YAML)
    (tmp_path / "sample.jsonl").write_text('{"text": "free pills"}\n')
    sample = ("--sample", str(tmp_path / "sample.jsonl")) if on_a_sample else ()
    done = started("probes", "check", str(tmp_path / "probes.yaml"), *sample)
    assert "text holds “free”" in done.stdout
    assert ("1 record" in done.stdout) is on_a_sample
    modules = set(done.stderr.split())
    needed = {"numpy", "pyarrow"}  # LFs run on arrays, files are read with Arrow
    assert sorted((HEAVY - needed) & modules) == []
    assert len(modules) < 1_000


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
