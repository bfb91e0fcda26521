"""The scene of the claims: three nodes of Apache Kafka, PostgreSQL, a group of workers."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from kafka import KafkaProducer
from kafka.errors import KafkaError

from tests.crash import faults, oracle, traffic
from tests.crash.cluster import Node, ThreeNodes
from tests.crash.faults import Fault, Pause
from tests.crash.oracle import Expected
from tests.crash.proxy import Proxy
from tests.crash.scenes import Scene, end_ms
from tests.crash.traffic import Mix
from tests.crash.workers import Worker
from tests.e2e.running import tidegauge
from tests.servers.ports import HOST
from tests.servers.postgres import PostgresServer

TOPIC = "crash"

SESSION_S = 6
"""A member that is silent for so long is taken for dead: sooner than Kafka's 45 s."""

GAP_S = (0.5, 3.0)
"""From one strike to the next: a worker needs some seconds to start, and shall do some work."""


class KafkaScene(Scene):
    """Workers of one group, and now and then one of another group that reads everything too."""

    def __init__(
        self,
        folder: Path,
        cluster: ThreeNodes,
        postgres: PostgresServer,
        *,
        seed: int,
        workers: int = 3,
        mix: Mix | None = None,
        **options: Any,
    ) -> None:
        super().__init__(folder, seed=seed, url=postgres.create_database(), **options)
        self.cluster = cluster
        self.postgres = postgres
        self.mix = mix or Mix(partitions=6)
        self.unsent = 0
        self.database_lock, self.broker_lock = threading.Lock(), threading.Lock()
        self.intruder_lock = threading.Lock()
        cluster.create_topic(TOPIC, self.mix.partitions)
        tidegauge("db", "upgrade", cwd=folder, database=self.url)
        self.proxies: dict[str, Proxy] = {}
        # The first is a member like any other; the others keep their seats when they restart.
        names = [f"worker{i}" for i in range(workers)]
        self.workers = [self._worker(n, "crash", n if n != names[0] else "") for n in names]
        self.intruder = self._worker("intruder", "intruder", "")

    def _worker(self, name: str, group: str, instance: str) -> Worker:
        """Prepare a worker with its own way to the database.

        Its partitions never go idle by the clock: only records move the time of this stream.
        """
        proxy = self.proxies[name] = Proxy(self.postgres.port)
        source = {
            "kind": "kafka",
            "bootstrap": self.cluster.clients,
            "topic": TOPIC,
            "group": group,
            "idle_grace": "36500d",
            "session_timeout": f"{SESSION_S}s",
            "instance": instance,
        }
        url = self.url.replace(f"{HOST}:{self.postgres.port}", f"{HOST}:{proxy.port}")
        return self.worker(name, source, database=url, inject={"duplicates": "0.05"})

    def produce(self, records: int, seconds: float) -> None:
        """Send so many inputs in so many seconds, whatever happens to the brokers."""
        partitions = [
            (p, traffic.values(self.seed, p, self.mix)) for p in range(self.mix.partitions)
        ]
        turns = islice(cycle(partitions), records)
        began = time.monotonic()
        with closing(self._producer()) as producer:
            for n, (partition, values) in enumerate(turns):
                ahead = n * seconds / records - (time.monotonic() - began)
                if ahead > 0:
                    time.sleep(ahead)
                self._send(producer, partition, next(values))
            producer.flush()

    def _producer(self) -> KafkaProducer:
        return KafkaProducer(
            bootstrap_servers=self.cluster.bootstrap,
            acks="all",
            linger_ms=20,
            delivery_timeout_ms=120_000,
            max_block_ms=120_000,
        )

    def _send(self, producer: KafkaProducer, partition: int, value: bytes) -> None:
        try:
            producer.send(TOPIC, value, partition=partition).add_errback(self._count_unsent)
        except KafkaError as error:
            self._count_unsent(error)

    def _count_unsent(self, error: Exception) -> None:
        """A record that the brokers did not take is not in the topic: no promise was made."""
        self.unsent += 1
        self.say(f"not sent: {error!r}")

    def send_ends(self) -> None:
        """Let the last window that holds data close."""
        through = end_ms(oracle.judge_inputs(self.topic()))
        with closing(self._producer()) as producer:
            for partition in range(self.mix.partitions):
                value = traffic.last_message(partition, through)
                producer.send(TOPIC, value, partition=partition).get(timeout=60)

    def topic(self) -> Mapping[int, list[bytes]]:
        """Return what the topic holds."""
        return self.cluster.read_all(TOPIC, self.mix.partitions)

    def closed_ms(self, expected: Expected) -> int:
        """Return the start of the window of the last messages: it alone stays open."""
        return end_ms(expected) - traffic.WINDOW_MS

    def faults(self) -> Sequence[Fault]:
        """Return everything that can happen here, with its weight."""
        return [
            *faults.on_workers(self.workers, 2.5 * SESSION_S),
            faults.on_worker("database_cut", 3, self.workers, self._cut_database),
            faults.alone("database_crash", 3, self.database_lock, self._crash_database),
            faults.alone("broker_kill", 2, self.broker_lock, self._kill_broker),
            faults.alone("broker_cut", 2, self.broker_lock, self._cut_brokers),
            faults.alone("leader_change", 2, self.broker_lock, self._move_leaders),
            faults.alone("overlap", 5, self.intruder_lock, self._intrude),
        ]

    def _cut_database(self, worker: Worker, dice: random.Random, pause: Pause) -> None:
        faults.network([self.proxies[worker.name]], dice, pause)

    def _crash_database(self, dice: random.Random, pause: Pause) -> None:
        self.postgres.stop("immediate")
        try:
            pause(dice.uniform(0.2, 5))
        finally:
            self.postgres.start()

    def _kill_broker(self, dice: random.Random, pause: Pause) -> None:
        node: Node = dice.choice(self.cluster.nodes)
        node.process.kill()
        try:
            pause(dice.uniform(0.5, 6))
        finally:
            node.start()

    def _cut_brokers(self, dice: random.Random, pause: Pause) -> None:
        chosen = dice.sample(self.cluster.nodes, dice.randint(1, 3))
        faults.network([node.proxy for node in chosen], dice, pause)

    def _move_leaders(self, dice: random.Random, _pause: Pause) -> None:
        self.cluster.move_leaders(TOPIC, self.mix.partitions, dice.randint(0, 2))

    def _intrude(self, dice: random.Random, pause: Pause) -> None:
        """Let a member of another group read all partitions beside their owners."""
        with self.intruder.busy:
            self.intruder.start()
            pause(dice.uniform(10, 30))
            self.intruder.revive()  # which tells if it has ended by itself
            self.intruder.kill()

    @property
    def everyone(self) -> list[Worker]:
        """All workers that ever ran."""
        return [*self.workers, self.intruder]

    def close(self) -> None:
        """End everything that it started."""
        super().close()
        self.intruder.kill()
        for proxy in self.proxies.values():
            proxy.close()


def storm(scene: KafkaScene, *, seconds: float, rate: float) -> faults.Storm:
    """Produce and strike for so many seconds; then let the last windows close."""
    wind = faults.Storm(scene.faults(), scene.seed, GAP_S, scene.say)
    producing = threading.Thread(target=scene.produce, args=(int(rate * seconds), seconds))
    producing.start()
    try:
        wind.blow(seconds, lambda: True)
    finally:
        producing.join()
    scene.say("produced everything")
    scene.send_ends()
    return wind
