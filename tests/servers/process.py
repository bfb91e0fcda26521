"""One server process: started in a group of its own, its log kept, ended for certain."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.servers.waiting import wait_until

LOG_LINES_SHOWN = 40


class ServerError(RuntimeError):
    """A server did not start; the message ends with its log's last lines."""


class ServerProcess:
    """A server that can be started, stopped, killed and started again with the same command.

    The process leads a group of its own, so that nothing it started outlives it, and a Ctrl-C in
    the terminal reaches pytest alone.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        user: str | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        self.command = [str(part) for part in command]
        self.name = Path(self.command[0]).name
        self.log = log
        self._env = {**os.environ, **(env or {})}
        self._user = user
        self._stop_signal = stop_signal
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The running process's id, for tests that send it signals."""
        if self._process is None:
            raise ServerError(f"{self.name} was not started")
        return self._process.pid

    def start(self, ready: Callable[[], bool], *, timeout: float = 60.0) -> None:
        """Start the process and return when `ready()` is true.

        Raises:
            ServerError: when it ended early or was not ready in time; it is ended then.
        """
        if self.running:
            raise ServerError(f"{self.name} runs already")
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._env,
                cwd=self.log.parent,  # The server's user may not read the current folder.
                start_new_session=True,
                user=self._user,
                group=self._user,
                extra_groups=None if self._user is None else [],
            )
        try:
            wait_until(lambda: not self.running or ready(), timeout=timeout, what=self.name)
        except TimeoutError as late:
            self.kill()
            raise ServerError(f"{late}\n{self.log_tail()}") from late
        if not self.running:
            raise ServerError(f"{self.name} ended while starting\n{self.log_tail()}")

    def stop(self, with_signal: signal.Signals | None = None, *, timeout: float = 30.0) -> None:
        """Ask the process to end; kill its group if it does not within `timeout` seconds."""
        if self._process is None:
            return
        self._send(with_signal or self._stop_signal)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout)
        self.kill()

    def kill(self) -> None:
        """End the process and all that it started, at once (SIGKILL); safe to repeat."""
        if self._process is None:
            return
        self._send(signal.SIGKILL)
        self._process.wait()
        self._process = None

    def log_text(self) -> str:
        """All that the process has written so far."""
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""

    def log_tail(self) -> str:
        """The log's last lines, with a heading."""
        lines = self.log_text().splitlines()[-LOG_LINES_SHOWN:]
        return "\n".join([f"-- last lines of {self.log.name} --", *lines])

    def _send(self, number: signal.Signals) -> None:
        """Signal the whole group; its leader may be gone while children live."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
