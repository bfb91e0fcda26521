"""The storms: over Kafka and PostgreSQL, over files and SQLite, over events and SQLite."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.crash import kafka_scene, log_scene
from tests.crash.cluster import ThreeNodes
from tests.crash.faults import Storm
from tests.crash.kafka_scene import KafkaScene
from tests.crash.log_scene import LogScene
from tests.crash.scenes import FileScene, Outcome
from tests.servers.postgres import PostgresServer

Say = Callable[[str], None]

REFUSING = 0.1
"""Share of the messages that the receiver does not take at first."""

GAP_S = (0.5, 2.5)
"""From one strike to the next, over SQLite."""

SMALL = {"commit_records": 20, "commit_interval": "200ms", "dead_letter_share": 1}
"""Of batches: many transactions to strike at."""


def over_kafka(
    folder: Path,
    cluster: ThreeNodes,
    postgres: PostgresServer,
    *,
    seed: int,
    seconds: float,
    rate: float,
    say: Say,
) -> Outcome:
    """Three workers of one group on three nodes and PostgreSQL."""
    scene = KafkaScene(folder, cluster, postgres, seed=seed, refusing=REFUSING, say=say)
    try:
        scene.start()
        wind = kafka_scene.storm(scene, seconds=seconds, rate=rate)
        return scene.finish(wind)
    finally:
        scene.close()
        cluster.keep_logs(folder)


def over_files(folder: Path, *, seed: int, seconds: float, rate: float, say: Say) -> Outcome:
    """Two workers that both read all files into one SQLite database."""
    scene = FileScene(
        folder,
        seed=seed,
        records=int(rate * seconds),
        inject={"slow_commit": "0.02", "slow_poll": "0.02", "duplicates": "0.05"},
        limits=SMALL,
        refusing=REFUSING,
        say=say,
    )
    try:
        scene.start()
        wind = Storm(scene.faults(), seed, GAP_S, say)
        wind.blow(seconds, lambda: not scene.done())
        return scene.finish(wind)
    finally:
        scene.close()


def over_events(folder: Path, *, seed: int, seconds: float, rate: float, say: Say) -> Outcome:
    """Two services that share the events of one SQLite database, and take new ones."""
    scene = LogScene(
        folder,
        seed=seed,
        inject={"slow_commit": "0.01", "duplicates": "0.05"},
        limits=SMALL,
        refusing=REFUSING,
        say=say,
    )
    try:
        scene.start()
        wind = Storm(scene.faults(), seed, GAP_S, say)
        log_scene.storm(scene, wind, seconds=seconds, rate=rate)
        return scene.finish(wind)
    finally:
        scene.close()
