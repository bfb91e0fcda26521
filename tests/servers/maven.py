"""What Maven Central has, fetched once into a cache folder that test runs share."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.servers.required import absent, require_program

FETCH_TIMEOUT = 900.0


def cache_folder() -> Path:
    """Return where downloads of tests are kept: `TIDEGAUGE_TEST_CACHE`, or below ~/.cache."""
    named = os.environ.get("TIDEGAUGE_TEST_CACHE")
    return Path(named) if named else Path.home() / ".cache" / "tidegauge-tests"


def fetched(name: str) -> Path:
    """Return the folder of what `NAME/pom.xml` depends on, fetched when that file is new here.

    Runs in parallel are safe: each fetches into a folder of its own and renames it; a rename to
    a name that exists already fails, and the folder that came first is used.
    """
    pom = Path(__file__).parent / name / "pom.xml"
    key = hashlib.sha256(pom.read_bytes()).hexdigest()[:16]
    jars = cache_folder() / f"{name}-{key}"
    if not jars.is_dir():
        cache_folder().mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix="fetching-", dir=cache_folder()))
        try:
            _fetch(pom, fresh / "jars")
            _publish(fresh / "jars", jars)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    return jars


def _fetch(pom: Path, into: Path) -> None:
    mvn = require_program("mvn", install="apt-get install maven")
    done = subprocess.run(
        [
            mvn,
            "--quiet",
            "--batch-mode",
            "-Dstyle.color=never",
            f"--file={pom}",
            "dependency:copy-dependencies",
            f"-DoutputDirectory={into}",
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=FETCH_TIMEOUT,
        check=False,
    )
    if done.returncode != 0:
        absent(f"Maven could not fetch what {pom} names:\n{(done.stdout + done.stderr)[-2000:]}")


def _publish(fetched: Path, jars: Path) -> None:
    try:
        fetched.rename(jars)
    except OSError:
        if not jars.is_dir():  # Not the race described above but a real failure.
            raise
