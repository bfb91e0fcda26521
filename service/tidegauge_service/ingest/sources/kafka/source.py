"""Apache Kafka as a source, through kafka-python 3.

Positions live in our database; Kafka's committed offsets are only a hint for lag tools. What
to know of kafka-python (3.0.12):

* No ``value_deserializer``: an error in it makes ``poll`` spin and never return; so does a
  batch that cannot be read, but for ``kafka_poison``.
* Rebalance listeners run on the client's IO thread, where ``seek`` may not be called: ours
  only notes what happened, and the worker seeks.
* With ``auto_offset_reset="none"`` a partition without committed offset makes ``poll`` raise
  ``NoOffsetForPartitionError`` until it is sought; that is how we want it: no silent jump.
* A wrong password or certificate shows as "Unable to bootstrap" after a timeout; the reason is
  only logged (``kafka_security``).
* Offsets have gaps: markers of transactions, aborted records, compaction. The position goes past
  them though no record tells of it.
"""

from __future__ import annotations

import importlib.util
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import structlog
from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.subscription_state import ConsumerRebalanceListener
from kafka.errors import (
    FencedInstanceIdError,
    KafkaError,
    KafkaTimeoutError,
    LogTruncationError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
)
from kafka.structs import OffsetAndMetadata

from tidegauge_service.config.sources import KafkaSource as KafkaConfig
from tidegauge_service.errors import SettingsError, SourceError
from tidegauge_service.ingest.sources.kafka import security
from tidegauge_service.ingest.sources.kafka.poison import Allowance, tolerate
from tidegauge_service.ingest.sources.source import Polled, Raw

log = structlog.get_logger()

BOOTSTRAP_TIMEOUT_MS = 15_000
METADATA_TIMEOUT_MS = 10_000

FIRST_ATTEMPT_MS = 2_000
"""By then a wrong password or certificate has shown, and there is no need to try again."""

METADATA_MAX_AGE_MS = 30_000
"""Maximum time until a new partition is found; from then on it holds back the watermark."""

HEARTBEAT_MS = 3_000

POLL_S = 0.5
"""How long a read-only reader waits for records at a time."""

BATCH_BYTES = 64 * 2**20

FETCH_MAX_BYTES = 50 * 2**20
"""Maximum size of a broker's response, as in kafka-python; a larger first batch comes whole."""

PARTITION_FETCH_BYTES = 2**20
"""Maximum size per partition in it, with the same exception."""


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    """Notes rebalances, on the IO thread, for the worker to read."""

    def __init__(self, noted: deque[tuple[str, frozenset[int]]]) -> None:
        self._noted = noted

    def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        self._noted.append(("lost", frozenset(tp.partition for tp in revoked)))

    def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        self._noted.append(("gained", frozenset(tp.partition for tp in assigned)))


class KafkaTopic:
    """One topic, read by one member of a consumer group."""

    def __init__(
        self,
        config: KafkaConfig,
        password: str | None = None,
        folder: Path = Path(),
        *,
        batch_bytes: int = BATCH_BYTES,
    ) -> None:
        """Join the group. *batch_bytes*: of a response of a broker, and of an inflated batch."""
        self._config = config
        self._allowance = Allowance(batch_bytes)
        self._poll_bytes = batch_bytes
        self._noted: deque[tuple[str, frozenset[int]]] = deque()
        self._sought: set[int] = set()
        self._sought_in: str | None = None
        _warn_without_crc32c()
        bounds = {
            "fetch_max_bytes": min(FETCH_MAX_BYTES, batch_bytes),
            "max_partition_fetch_bytes": min(PARTITION_FETCH_BYTES, batch_bytes),
        }
        secured = security.options(config, password, folder)
        self._consumer = _connected(config, {**secured, **bounds})
        tolerate(self._consumer, self._allowance)
        self._consumer.subscribe([config.topic], listener=_Listener(self._noted))

    def beginnings(self) -> dict[int, int]:
        """Return the topic's partitions with the offset at which a new stream starts."""
        topic = self._config.topic
        try:
            found = self._consumer.partitions_for_topic(topic)
            if not found:
                msg = f"topic '{topic}' does not exist at {self._config.bootstrap}: create it first"
                raise SourceError(msg)
            tps = [TopicPartition(topic, p) for p in sorted(found)]
            latest = self._config.start == "latest"
            ask = self._consumer.end_offsets if latest else self._consumer.beginning_offsets
            return {tp.partition: offset for tp, offset in ask(tps).items()}
        except KafkaError as error:
            raise SourceError(_unreachable(self._config, error)) from error

    def poll(self, max_records: int, timeout_s: float) -> Polled:
        """Return what the broker sent, and how the assignment changed.

        SettingsError when another process has taken this one's seat in the group.
        """
        self._allowance.left = self._poll_bytes
        batches: dict[TopicPartition, list[Raw]] = {}
        out: dict[TopicPartition, int] = {}
        try:
            self._resume()
            batches = self._consumer.poll(int(timeout_s * 1000), max_records=max_records)
        except NoOffsetForPartitionError:
            pass  # just assigned; the worker will seek
        except OffsetOutOfRangeError as error:
            out = dict.fromkeys(error.args[0], sys.maxsize)
        except LogTruncationError as error:
            out = {tp: at.offset if at else 0 for tp, at in error.divergent_offsets.items()}
        except FencedInstanceIdError as error:
            msg = (
                "another process has taken over `source.instance` "
                f"'{self._config.instance}' in the group '{self._config.group}': give "
                "each process its own `source.instance`"
            )
            raise SettingsError(msg) from error
        except KafkaError as error:
            raise SourceError(_unreachable(self._config, error)) from error
        reached = self._positions()  # before the changes: one that went meanwhile is among them
        gained, lost, assigned = self._changes()
        if self._topic_id() not in (None, self._sought_in):  # made anew under its name
            out = {TopicPartition(self._config.topic, p): sys.maxsize for p in self._sought}
        ends = {tp.partition: at for tp, at in out.items() if tp.partition in self._sought}
        self._sought -= ends.keys()
        inputs = [
            raw for tp, some in batches.items() if tp.partition in self._sought for raw in some
        ]
        reached = {p: offset for p, offset in reached.items() if p in self._sought}
        return Polled(inputs, gained, lost, assigned, reached, out_of_range=ends)

    def first(self, most: int, timeout_s: float) -> list[Raw]:
        """Return the topic's first inputs, or what of them comes in time; the group never knows.

        For those who only look: what is assigned by hand takes no partition from a worker.
        """
        inputs: list[Raw] = []
        deadline = time.monotonic() + timeout_s
        self._allowance.left = self._poll_bytes
        try:
            self._consumer.unsubscribe()
            topic = self._config.topic
            partitions = self._consumer.partitions_for_topic(topic) or ()
            tps = [TopicPartition(topic, p) for p in sorted(partitions)]
            begin, ends = self._consumer.beginning_offsets(tps), self._consumer.end_offsets(tps)
            filled = [tp for tp in tps if ends[tp] > begin[tp]]
            self._consumer.assign(filled)
            for tp in filled:
                self._consumer.seek(tp, begin[tp])
            while filled and len(inputs) < most and time.monotonic() < deadline:
                batches = self._consumer.poll(int(POLL_S * 1000), max_records=most - len(inputs))
                inputs += [raw for some in batches.values() for raw in some]
                at = self._positions()
                if all(at.get(tp.partition, 0) >= ends[tp] for tp in filled):
                    break
        except KafkaError as error:
            raise SourceError(_unreachable(self._config, error)) from error
        return inputs

    def allow(self, max_bytes: int) -> None:
        """Let the next polls stop at the first record that reaches so many bytes."""
        self._poll_bytes = max_bytes

    def _positions(self) -> dict[int, int]:
        """Return where each partition goes on: past markers of transactions, and compacted ends.

        Not ``consumer.position``: that waits for the coordinator if a rebalance is under way.
        """
        states = self._consumer._subscription.assignment  # noqa: SLF001
        found = {tp.partition: states.get(tp) for tp in self._consumer.assignment()}
        return {p: at.position.offset for p, at in found.items() if at and at.position}

    def _changes(self) -> tuple[frozenset[int], frozenset[int], bool]:
        """Return what was gained and lost since the last poll, and whether the group has spoken.

        A partition that was lost and came back counts as both: somebody may have moved it on
        meanwhile, so what this poll brought of it is not used.
        """
        gained: set[int] = set()
        lost: set[int] = set()
        assigned = False
        while self._noted:
            what, partitions = self._noted.popleft()
            if what == "lost":
                lost |= partitions
                gained -= partitions
            else:
                gained |= partitions
                assigned = True
        self._sought -= lost | gained
        return frozenset(gained), frozenset(lost), assigned

    def rest(self, timeout_s: float) -> None:
        """Poll with all partitions paused: the group hears of us, and nothing comes.

        What does come is of a partition that was just assigned: it is sought before it is used.
        """
        try:
            self._consumer.pause(*self._consumer.assignment())
            self._consumer.poll(int(timeout_s * 1000))
        except (KafkaError, KeyError) as error:  # KeyError: revoked while we paused it
            log.debug("rest_failed", topic=self._config.topic, error=str(error))

    def _resume(self) -> None:
        try:
            rested = (tp for tp in self._consumer.paused() if tp.partition in self._sought)
            self._consumer.resume(*rested)  # those that are held stay so
        except KeyError:
            return  # revoked meanwhile: the next poll says so

    def seek(self, partition: int, offset: int) -> None:
        """Continue *partition* at *offset*; one that was taken away meanwhile is left alone."""
        tp = TopicPartition(self._config.topic, partition)
        try:
            self._consumer.seek(tp, offset)
            self._consumer.resume(tp)
        except (ValueError, KeyError):
            return  # no longer assigned: the next poll says so
        self._sought.add(partition)
        self._sought_in = self._topic_id() or self._sought_in

    def hold(self, partition: int) -> None:
        """Fetch nothing of *partition*. It gets a position, or ``poll`` would ask for one."""
        tp = TopicPartition(self._config.topic, partition)
        self._sought.discard(partition)
        try:
            self._consumer.seek(tp, self.ends([partition]).get(partition, 0))
            self._consumer.pause(tp)
        except (ValueError, KeyError):
            return

    def identity(self) -> str | None:
        """Return the topic's id, as of now."""
        consumer = self._consumer
        try:
            asked = consumer._cluster.request_update()  # noqa: SLF001
            consumer._net.run(consumer._manager.wait_for, asked, METADATA_TIMEOUT_MS)  # noqa: SLF001
        except KafkaError as error:
            raise SourceError(_unreachable(self._config, error)) from error
        return self._topic_id()

    def _topic_id(self) -> str | None:
        found = self._consumer._cluster.topic_id(self._config.topic)  # noqa: SLF001
        return str(found) if found and found.int else None

    def cluster_id(self) -> str | None:
        """Return the id that the cluster gave itself, whatever its addresses."""
        if self._consumer._cluster.cluster_id is None:  # noqa: SLF001
            self.identity()  # asks for what the cluster says of itself, too
        found = self._consumer._cluster.cluster_id  # noqa: SLF001
        return str(found) if found else None

    def held(self, partitions: Sequence[int]) -> dict[int, tuple[int, int]]:
        """Return the first offset of each partition, and its end."""
        existing = self._consumer.partitions_for_topic(self._config.topic) or ()
        tps = [TopicPartition(self._config.topic, p) for p in partitions if p in existing]
        try:
            firsts, ends = self._consumer.beginning_offsets(tps), self._consumer.end_offsets(tps)
        except KafkaError as error:
            raise SourceError(_unreachable(self._config, error)) from error
        return {tp.partition: (firsts[tp], ends[tp]) for tp in tps if tp in firsts and tp in ends}

    def ends(self, partitions: Sequence[int]) -> dict[int, int]:
        """Return the log end offsets."""
        tps = [TopicPartition(self._config.topic, p) for p in partitions]
        try:
            found = self._consumer.end_offsets(tps)
        except KafkaError as error:
            log.warning("end_offsets_failed", topic=self._config.topic, error=str(error))
            return {}
        return {tp.partition: offset for tp, offset in found.items()}

    def report(self, positions: Mapping[int, int]) -> None:
        """Commit offsets to Kafka, for lag tools; nobody waits for it."""
        mine = {p: offset for p, offset in positions.items() if p in self._sought}
        offsets = {
            TopicPartition(self._config.topic, p): OffsetAndMetadata(offset, "", -1)
            for p, offset in mine.items()
        }
        try:
            self._consumer.commit_async(offsets)
        except KafkaError as error:
            log.debug("offset_hint_failed", topic=self._config.topic, error=str(error))

    def close(self) -> None:
        """Leave the group at once, so that others take over without waiting.

        A static member (``instance``) does not leave: its seat is kept for ``session_timeout``.
        """
        self._consumer.close(autocommit=False, timeout_ms=5_000)


def _connected(config: KafkaConfig, secured: Mapping[str, Any]) -> KafkaConsumer:
    """Return a consumer that has reached a broker; SourceError says what to check."""
    wanted: dict[str, Any] = {
        "bootstrap_servers": config.bootstrap.split(","),
        "group_id": config.group,
        "group_instance_id": config.instance or None,
        "session_timeout_ms": config.session_timeout,
        "heartbeat_interval_ms": min(HEARTBEAT_MS, config.session_timeout // 3),
        "client_id": "tidegauge",
        "enable_auto_commit": False,
        "auto_offset_reset": "none",
        "isolation_level": "read_committed",
        "max_poll_records": 2_000,
        "metadata_max_age_ms": METADATA_MAX_AGE_MS,
        **secured,
    }
    security.keep_quiet()
    first = min(FIRST_ATTEMPT_MS, BOOTSTRAP_TIMEOUT_MS)
    with security.ConnectionErrors() as heard:
        try:
            try:
                return KafkaConsumer(**wanted, bootstrap_timeout_ms=first)
            except KafkaTimeoutError:
                if security.what_to_check(heard.errors):
                    raise
                rest = max(BOOTSTRAP_TIMEOUT_MS - first, 1)
                return KafkaConsumer(**wanted, bootstrap_timeout_ms=rest)
        except (KafkaError, ValueError, AssertionError, OSError) as error:
            raise SourceError(_unreachable(config, error, heard.errors)) from error


def _unreachable(config: KafkaConfig, error: Exception, heard: Sequence[str] = ()) -> str:
    name, said = type(error).__name__, str(error)
    errors = [*heard, said if said.startswith(name) else f"{name}: {said}"]
    unknown = (errors[0], "check that the broker is running and that `bootstrap` is right")
    told, checks = security.what_to_check(errors) or unknown
    return f"cannot use Kafka at {config.bootstrap}: {told.rstrip('. ')}: {checks}"


def _warn_without_crc32c() -> None:
    if importlib.util.find_spec("crc32c") is None:
        log.warning(
            "crc32c_missing",
            advice=("pip install crc32c: without it, reading from Kafka takes 10x the CPU"),
        )
