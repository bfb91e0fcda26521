"""Structured logs: readable on a terminal, JSON lines elsewhere; control characters escaped."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TextIO, cast

import structlog


class LossyStream:
    """Where lines go; one that cannot be written (a full disk) is lost, and nothing else is.

    The standard library's handlers do so by themselves. ValueError: the stream is closed.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write, if it can be done."""
        with suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush, if it can be done."""
        with suppress(OSError, ValueError):
            self._stream.flush()


class Throttle(logging.Filter):
    """Lets a message pass once in a while: what strangers cause must not fill the disk."""

    def __init__(self, seconds: float = 10.0) -> None:
        super().__init__()
        self._seconds = seconds
        self._passed: dict[str, tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to write a line; it says how many like it were not written."""
        if record.exc_info:
            return True
        until, held = self._passed.get(record.msg, (0.0, 0))
        if record.created < until:
            self._passed[record.msg] = (until, held + 1)
            return False
        self._passed[record.msg] = (record.created + self._seconds, 0)
        if held:
            record.msg = f"{record.msg} ({held} more like this before)"
        return True


def configure(level: str = "INFO", *, as_json: bool | None = None, worker: str = "") -> None:
    """Set up structlog and the standard library's logging to write to stderr.

    *worker* is named in each line of a worker process.
    """
    json_lines = not sys.stderr.isatty() if as_json is None else as_json
    renderer: Any = (
        structlog.processors.JSONRenderer() if json_lines else structlog.dev.ConsoleRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            *([_naming(worker)] if worker else []),
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.StackInfoRenderer(),
            structlog.processors.format_exc_info,
            _escape_control,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", LossyStream(sys.stderr))),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, force=True)
    # It warns of every tick that is skipped while the one before still runs: meant to be so.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)


def _naming(worker: str) -> Callable[[Any, str, Any], Any]:
    return lambda _logger, _method, event: {**event, "worker": worker}


def _escape_control(_logger: Any, _method: str, event: Any) -> Any:
    """Records are hostile input: no line of a log may be forged by one."""
    return {
        key: "".join(c if c.isprintable() else repr(c)[1:-1] for c in value)
        if isinstance(value, str) and key != "exception"
        else value
        for key, value in event.items()
    }
