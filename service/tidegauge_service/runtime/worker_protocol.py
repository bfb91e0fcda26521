"""What a supervisor and its worker process say to each other."""

from __future__ import annotations

from dataclasses import dataclass

from tidegauge_service.config.settings import Settings
from tidegauge_service.config.stream_file import StreamConfig

READY, CALLS, PROBLEM, FATAL, DONE = "ready", "calls", "problem", "fatal", "done"
"""What a worker reports, one JSON array a line.

``[calls, [ProbeSet, place, name of each LF and slice that it may call]]`` before its heart beats
with their columns; ``[ready, the values of its StreamRow]``; ``[problem, part, what or null]``;
``[fatal, exit code, what]``; ``[done]`` when it has read everything: exit code 0 alone proves
nothing, for an LF may have ended the process."""


@dataclass(frozen=True)
class Task:
    """What a worker is to do. ``heartbeat`` and ``reports`` are file descriptors it inherits.

    *first_batch*: how many inputs to take at first; ``None``: as many as the stream file says.
    """

    name: str
    config: StreamConfig
    settings: Settings
    drain: bool
    heartbeat: int
    reports: int
    first_batch: int | None = None
