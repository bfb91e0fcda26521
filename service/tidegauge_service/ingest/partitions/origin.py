"""What a stream's positions are positions in.

Offset 800 of one topic says nothing of another. So the source is kept with the stream; where the
stream file names another one, nothing is read until somebody decides (`tidegauge streams reset`).
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from tidegauge_service.config.sources import DemoSource, KafkaSource
from tidegauge_service.config.sources import FileSource as FileConfig
from tidegauge_service.config.stream_file import StreamConfig
from tidegauge_service.errors import SettingsError
from tidegauge_service.ingest.sources.files.catalog import is_known
from tidegauge_service.ingest.sources.files.registration import known_files
from tidegauge_service.ingest.sources.files.source import FileReader
from tidegauge_service.ingest.sources.source import Clustered, Source
from tidegauge_service.store import streams
from tidegauge_service.store.engine import Database
from tidegauge_service.store.ingest import origins
from tidegauge_service.store.scope import StreamScope
from tidegauge_service.store.streams import StreamRow


@dataclass(frozen=True, slots=True)
class SourceOrigin:
    """A source as it was when the stream was last opened.

    ``name``: pattern, topic or seed. ``address``: where it was reached. ``cluster``: the id that a
    Kafka cluster has given itself.
    """

    kind: str
    name: str = ""
    address: str = ""
    cluster: str | None = None

    def __str__(self) -> str:
        """Return it as users would write it."""
        if self.kind != "kafka":
            return f"{self.kind} '{self.name}'" if self.name else self.kind
        cluster = f", cluster {self.cluster}" if self.cluster else ""
        return f"kafka topic '{self.name}' at {self.address}{cluster}"

    def encode(self) -> str:
        """Return it as the database keeps it."""
        return msgspec.json.encode(self).decode()


def decode(text: str) -> SourceOrigin:
    """Read what ``encode`` wrote."""
    return msgspec.json.decode(text, type=SourceOrigin)


def origin_of(config: StreamConfig, source: Source) -> SourceOrigin:
    """Return what a source is. Asks Kafka who it is: SourceError."""
    chosen = config.source
    if isinstance(chosen, FileConfig):
        return SourceOrigin("file", chosen.path)
    if isinstance(chosen, KafkaSource):
        cluster = source.cluster_id() if isinstance(source, Clustered) else None
        return SourceOrigin("kafka", chosen.topic, chosen.bootstrap, cluster)
    if isinstance(chosen, DemoSource):
        return SourceOrigin("demo", f"seed {chosen.seed}")
    return SourceOrigin("log")


def same(before: SourceOrigin, now: SourceOrigin, *, holds_known_files: bool) -> bool:
    """Whether positions in one are positions in the other.

    Addresses may change, and so may a pattern that still finds files that were read.

    >>> old = SourceOrigin("kafka", "events", "a:9092", "one")
    >>> same(old, SourceOrigin("kafka", "events", "b:9092", "one"), holds_known_files=False)
    True
    >>> same(old, SourceOrigin("kafka", "events", "a:9092", "two"), holds_known_files=False)
    False
    """
    if before.kind != now.kind:
        return False
    if before.kind == "file":
        return before.name == now.name or holds_known_files
    if before.name != now.name:
        return False
    if before.cluster and now.cluster:
        return before.cluster == now.cluster
    return before.address == now.address


def check(database: Database, config: StreamConfig, source: Source) -> None:
    """SettingsError if the stream was read from another source."""
    with database.read() as connection:
        stream = streams.find(connection, config.name)
        if stream is None:
            return
        text = origins.of_stream(connection, stream.id)
    if text is None:
        return
    before, now = decode(text), origin_of(config, source)
    found = before.kind == now.kind == "file" and before.name != now.name
    holds = found and isinstance(source, FileReader) and _holds(database, stream, source)
    if not same(before, now, holds_known_files=holds):
        raise SettingsError(refusal(config.name, before, now))


def refusal(name: str, before: SourceOrigin, now: SourceOrigin) -> str:
    """Say what differs, and both ways out."""
    return (
        f"stream '{name}' was read from {before}, but the stream file now says {now}. "
        "The saved positions belong to the old source: in the new one, they would skip "
        "records. Restore the old source, or start the new one from the beginning with "
        f"`tidegauge streams reset {name}` (counts and history stay), or give the stream "
        "a new `name`"
    )


def keep(scope: StreamScope, source: Source) -> None:
    """Note the source with the stream; SettingsError if it has changed since."""
    database, config, stream = scope.database, scope.config, scope.stream
    now = origin_of(config, source)
    with database.read() as connection:
        text = origins.of_stream(connection, stream.id)
    if text == now.encode():
        return
    if text is not None:
        check(database, config, source)
    with database.write() as connection:
        kept = origins.replace(connection, stream.id, text, now.encode())
    if not kept:  # somebody else was quicker
        check(database, config, source)


def kept(database: Database, stream: StreamRow) -> str | None:
    """Return the source that is kept with the stream."""
    with database.read() as connection:
        return origins.of_stream(connection, stream.id)


def confirm(database: Database, stream: StreamRow, was: str | None) -> None:
    """SettingsError if the stream was reset, or given another source, since it was opened."""
    now = kept(database, stream)
    if now == was or (now and was and _alike(decode(was), decode(now))):
        return
    msg = (
        f"the source of stream '{stream.name}' was changed while this process was "
        "reading it, so the old one is no longer counted. Restart with the current "
        "stream file"
    )
    raise SettingsError(msg)


def _alike(before: SourceOrigin, now: SourceOrigin) -> bool:
    return same(before, now, holds_known_files=True)


def _holds(database: Database, stream: StreamRow, source: FileReader) -> bool:
    return is_known(source.files, known_files(database, stream))
