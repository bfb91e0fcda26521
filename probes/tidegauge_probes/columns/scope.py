"""Resources that last as long as a batch: opened on first use, closed with the batch."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import Any


class Scope:
    """Context managers that stay open until the scope closes, one per object."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._held: dict[int, Any] = {}  # keeps the object, so that its id is not reused

    def hold(self, held: Any, opened: Callable[[Any], AbstractContextManager[None]]) -> None:
        """Open the context that *opened* returns for *held*, unless it is open already."""
        if id(held) not in self._held:
            self._stack.enter_context(opened(held))
            self._held[id(held)] = held

    def close(self) -> None:
        """Close all of them, the last one first."""
        self._held.clear()
        self._stack.close()
