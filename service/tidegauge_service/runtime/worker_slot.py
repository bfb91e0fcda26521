"""The places that worker processes fill, one after the other."""

from __future__ import annotations

import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from tidegauge_service.config.sources import KafkaSource
from tidegauge_service.config.stream_file import StreamConfig
from tidegauge_service.errors import SettingsError
from tidegauge_service.ingest.heartbeat import Columns, HeartbeatWatch
from tidegauge_service.runtime.death_record import DeathRecord
from tidegauge_service.runtime.worker_child import WorkerChild
from tidegauge_service.store.streams import StreamRow

SINGLE: Final = frozenset({"file", "demo"})
"""Sources without consumer groups: a second reader would read everything a second time."""

DEFAULT_INSTANCE: Final = "{hostname}-{stream}-{worker}"

_INSTANCE: Final = re.compile(r"[A-Za-z0-9._-]{0,249}")
"""Names that Kafka accepts; empty: no name."""


@dataclass
class WorkerSlot:
    """The place of one worker, and the process that fills it now."""

    name: str
    config: StreamConfig
    watch: HeartbeatWatch
    child: WorkerChild | None = None
    stream: StreamRow | None = None
    """Set once a worker was ready."""
    calls: Columns = ()
    deaths: DeathRecord = field(default_factory=DeathRecord)
    failures: int = 0
    """How many workers in a row have ended too early."""
    start_s: float = 0.0
    """When the next process may start (monotonic)."""
    pending_quarantine: partial[None] | None = None
    """The quarantine that must be in the database before the next process starts."""
    parts: frozenset[str] = frozenset()
    """Parts that are in trouble."""
    finished: bool = False


def worker_slots(
    configs: Sequence[StreamConfig], workers: int, *, static: bool
) -> list[WorkerSlot]:
    """Return the slots of *workers* of each stream.

    *static*: members of Kafka groups keep their partitions over a restart unless
    ``source.instance`` says otherwise. Raises SettingsError for a source that only one process
    can read.
    """
    found = []
    for config in configs:
        if workers > 1 and config.source.kind in SINGLE:
            msg = (
                f"stream '{config.name}' has a {config.source.kind} source, which only "
                "one process can read: use --workers 1"
            )
            raise SettingsError(msg)
        for n in range(1, workers + 1):
            named = _with_instance(config, n, static=static)
            found.append(WorkerSlot(f"{config.name}-{n}", named, HeartbeatWatch(config.watchdog)))
        if workers > 1 and _named_alike(found[-workers:]):
            msg = (
                f"stream '{config.name}': source.instance must contain {{worker}}, so "
                "that each worker has a name of its own"
            )
            raise SettingsError(msg)
    return found


def _named_alike(found: Sequence[WorkerSlot]) -> bool:
    sources = [slot.config.source for slot in found]
    names = [s.instance for s in sources if isinstance(s, KafkaSource) and s.instance]
    return len(set(names)) < len(names)


def _with_instance(config: StreamConfig, worker: int, *, static: bool) -> StreamConfig:
    """Fill in the name that Kafka knows this member of the group by (``group.instance.id``)."""
    source = config.source
    if not isinstance(source, KafkaSource):
        return config
    template = source.instance
    if template is None and static:
        template = DEFAULT_INSTANCE
    host = "".join(c if c.isalnum() and c.isascii() else "-" for c in socket.gethostname())
    try:
        name = (template or "").format(hostname=host, stream=config.name, worker=worker)
    except (KeyError, IndexError, ValueError, AttributeError):
        name = "?"
    if not _INSTANCE.fullmatch(name):
        msg = (
            f"stream '{config.name}': source.instance '{template}' may contain only "
            f"{{hostname}}, {{stream}} and {{worker}}, letters, digits, '.', '_' and "
            "'-', and at most 249 characters"
        )
        raise SettingsError(msg)
    return config.model_copy(update={"source": source.model_copy(update={"instance": name})})
