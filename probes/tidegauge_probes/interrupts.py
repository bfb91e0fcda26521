"""Whose exception it is: the user code's, which is an outcome, or Ctrl-C, which is not.

An LF may raise anything: ``sys.exit()`` deep in a library, asyncio's ``CancelledError``, a
``BaseException`` of its own. All of that is an error of that LF on that record, never the end of
the process. Only Ctrl-C goes on, and only where Python turns it into an exception: in the main
thread, while SIGINT has Python's own handler. In a worker SIGINT is ignored, so a
``KeyboardInterrupt`` there was raised by the LF itself.
"""

from __future__ import annotations

import signal
import threading


def pass_on_interrupt(error: BaseException) -> None:
    """Raise *error* again if somebody pressed Ctrl-C; otherwise the caller may keep it."""
    if isinstance(error, KeyboardInterrupt) and _may_be_typed():
        raise error


def _may_be_typed() -> bool:
    if threading.current_thread() is not threading.main_thread():
        return False
    return signal.getsignal(signal.SIGINT) is signal.default_int_handler
