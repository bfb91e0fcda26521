"""Builds the project's wheels as an installer gets them: nothing is fetched."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.servers.required import absent

REPOSITORY = Path(__file__).resolve().parent.parent


def build_wheel(project: Path, folder: Path) -> Path:
    """Build the wheel of *project* into *folder*, with the build backend of this environment."""
    if not (project / "README.md").is_file():
        absent("README.md, which the wheel's metadata quote, is not written yet")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    command += ["--no-build-isolation", "--no-index", f"--wheel-dir={folder}", str(project)]
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = folder.glob("*.whl")
    return built
