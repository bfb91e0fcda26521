"""Run the command line as a user would, in processes of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

TIDEGAUGE = (sys.executable, "-m", "tidegauge_service.cli")


def environment(**settings: str) -> dict[str, str]:
    """Return this environment with TIDEGAUGE_* variables, and none that a test inherits."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("TIDEGAUGE_")}
    return kept | {f"TIDEGAUGE_{name.upper()}": value for name, value in settings.items()}


def tidegauge(
    *arguments: str | Path, cwd: Path, check: bool = True, timeout: float = 240, **settings: str
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; a failing one shows what it printed."""
    done = subprocess.run(
        [*TIDEGAUGE, *map(str, arguments)],
        cwd=cwd,
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    if check and done.returncode:
        raise AssertionError(f"exit {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


def started(
    *arguments: str | Path, cwd: Path, log: Path, **settings: str
) -> subprocess.Popen[bytes]:
    """Start a command in the background, its output in *log*."""
    with log.open("wb") as output:
        return subprocess.Popen(
            [*TIDEGAUGE, *map(str, arguments)],
            cwd=cwd,
            env=environment(**settings),
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def last_json(text: str) -> Mapping[str, Any]:
    """Return the JSON object on the last line."""
    found: Mapping[str, Any] = json.loads(text.strip().splitlines()[-1])
    return found
