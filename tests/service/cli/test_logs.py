"""What the log does on a bad day."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CALM = """
import resource, structlog
from tidegauge_service import logs

logs.configure(as_json=True)
log = structlog.get_logger()
log.warning("before")
unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, unlimited[1]))
for n in range(1_000):
    log.warning("while", n=n)
resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
log.warning("after")
"""


def test_a_log_on_a_full_disk_stops_nobody(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("wb") as file:
        done = subprocess.run([sys.executable, "-c", CALM], stderr=file, check=False)
    text = log.read_text(encoding="utf-8")
    assert done.returncode == 0, text
    assert '"before"' in text
    assert '"after"' in text


def test_the_exit_code_is_right_even_if_nobody_can_be_told(tmp_path: Path) -> None:
    command = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0));"
        "from tidegauge_service.cli.main import main; main()"
    )
    with (tmp_path / "log").open("wb") as file:
        done = subprocess.run(
            [sys.executable, "-c", command, "consume", str(tmp_path / "none.yaml")],
            stdout=file,
            stderr=file,
            check=False,
        )
    assert done.returncode == 2
