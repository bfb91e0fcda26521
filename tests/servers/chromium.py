"""Headless Chromium for tests: a picture of a page, or its document after scripts ran."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.servers.process import ServerError
from tests.servers.required import require_program

INSTALL = "apt-get install chromium"
TIMEOUT = 120.0

FLAGS = (
    "--headless",
    "--no-sandbox",  # Its sandbox does not work for root, as whom CI runs.
    "--disable-gpu",
    # Nothing but the page asked for: no look-ups, no updates, no start-up tour.
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",  # /dev/shm is small in containers.
    "--hide-scrollbars",
    "--force-color-profile=srgb",
)


class Chromium:
    """Starts a new browser, with an empty profile, for each page."""

    def __init__(self) -> None:
        self._binary = require_program("chromium", install=INSTALL)

    def screenshot(
        self,
        url: str,
        path: Path,
        *,
        width: int = 1280,
        height: int = 800,
        flags: Sequence[str] = (),
    ) -> Path:
        """Write a PNG of the page at `url` to `path` and return `path`."""
        path.parent.mkdir(parents=True, exist_ok=True)
        size = f"--window-size={width},{height}"
        self._run([size, f"--screenshot={path.resolve()}", *flags, url])
        if not path.is_file():
            raise ServerError(f"Chromium made no picture of {url}")
        return path

    def dump_dom(self, url: str, *, width: int = 1280, flags: Sequence[str] = ()) -> str:
        """Return the page's document as HTML, after its scripts ran."""
        return self._run([f"--window-size={width},800", "--dump-dom", *flags, url])

    def _run(self, arguments: Sequence[str]) -> str:
        """Run the browser to its end and return what it printed."""
        profile = tempfile.mkdtemp(prefix="tidegauge-chromium-")
        command: list[str | Path] = [self._binary, *FLAGS, f"--user-data-dir={profile}", *arguments]
        try:
            with subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            ) as browser:
                printed, complaints = _output(browser)
        finally:
            shutil.rmtree(profile, ignore_errors=True)
        if browser.returncode != 0:
            raise ServerError(f"Chromium failed ({browser.returncode}):\n{complaints[-2000:]}")
        return printed


def _output(browser: subprocess.Popen[str]) -> tuple[str, str]:
    """Return what the browser prints until its end; then end its group, whatever happened."""
    try:
        return browser.communicate(timeout=TIMEOUT)
    except subprocess.TimeoutExpired as late:
        raise ServerError(f"Chromium did not end within {TIMEOUT:g} s: {browser.args!r}") from late
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(browser.pid, signal.SIGKILL)
