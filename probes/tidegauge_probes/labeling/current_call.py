"""The user's code that runs now, for a process that outlives this one.

An LF may end its process (``os._exit``, a crash in a C library), and nothing in that process gets
to say so. A parent process that shares memory with it can read here which LF it was.
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from typing import Final

SIZE: Final = 512
"""Bytes of memory that are used; a longer name is cut."""


@dataclass
class CurrentCall:
    """``memory``: at least ``SIZE`` bytes that another process reads; None if none does."""

    memory: mmap.mmap | None = None

    def enter(self, kind: str, name: str) -> None:
        """Note that code of the user begins to run, e.g. of ``LF``, ``short``."""
        if self.memory is not None:
            self.memory[:SIZE] = f"{kind} '{name}'".encode()[:SIZE].ljust(SIZE, b"\0")

    def leave(self) -> None:
        """Note that none runs."""
        if self.memory is not None:
            self.memory[:SIZE] = bytes(SIZE)


def last_call(memory: mmap.mmap) -> str:
    """Return what ran last, e.g. ``LF 'short'``; empty if no code of the user did."""
    return bytes(memory[:SIZE]).rstrip(b"\0").decode(errors="replace")


CURRENT_CALL: Final = CurrentCall()
