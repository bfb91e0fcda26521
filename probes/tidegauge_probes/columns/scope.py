"""What lasts as long as a batch: opened when first needed, closed when the batch is dropped."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import Any


class Scope:
    """Context managers that are open until the scope is closed, each object's only once."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._held: dict[int, Any] = {}  # with the object, so that its id is not another's

    def hold(self, held: Any, opened: Callable[[Any], AbstractContextManager[None]]) -> None:
        """Open what belongs to *held*, unless it is open already."""
        if id(held) not in self._held:
            self._stack.enter_context(opened(held))
            self._held[id(held)] = held

    def close(self) -> None:
        """Close all, the last one first."""
        self._held.clear()
        self._stack.close()
