"""One hunt for each mutant: a short, directed scene in which its missing safeguard matters.

The same scene without the mutant is its control: there the harness must find nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.crash.scenes import FileScene, Outcome
from tests.crash.traffic import Mix
from tests.e2e.running import tidegauge
from tests.servers.postgres import PostgresServer
from tests.servers.waiting import wait_until

Say = Callable[[str], None]

SMALL = {"commit_records": 25, "commit_interval": "100ms", "dead_letter_share": 1}
HANG_S = 60.0


@dataclass(frozen=True)
class Ground:
    """Where a hunt takes place."""

    folder: Path
    seed: int
    postgres: PostgresServer
    say: Say


Hunt = Callable[[Ground, Mapping[str, str]], Outcome]


def _scene(ground: Ground, inject: Mapping[str, str], **options: Any) -> FileScene:
    scene = FileScene(
        ground.folder,
        seed=ground.seed,
        inject=inject,
        say=ground.say,
        **{"limits": SMALL, "records": 3_000, **options},
    )
    scene.settle_s = HANG_S
    scene.hasty = True
    return scene


def two_at_once(ground: Ground, inject: Mapping[str, str]) -> Outcome:
    """Two processes read the same files at once; each is fenced by the other."""
    scene = _scene(ground, {"slow_poll": "0.03", **inject})
    try:
        scene.start()
        return scene.finish()
    finally:
        scene.close()


def one_behind_the_other(ground: Ground, inject: Mapping[str, str]) -> Outcome:
    """One process reads one file to its end before it begins the next.

    Slowly: windows are closed once a second.
    """
    scene = _scene(ground, {"slow_poll": "0.03", **inject}, workers=1)
    try:
        scene.start()
        return scene.finish()
    finally:
        scene.close()


def closing_while_committing(ground: Ground, inject: Mapping[str, str]) -> Outcome:
    """Every commit is slow, and brings stragglers of the window that is closing meanwhile."""
    url = ground.postgres.create_database()
    tidegauge("db", "upgrade", cwd=ground.folder.parent, database=url)
    mix = Mix(partitions=1, per_window=40, stragglers=0.4, behind=(35_000, 110_000))
    scene = _scene(
        ground, {"slow_commit": "0.4", **inject}, url=url, workers=1, mix=mix, records=450
    )
    try:
        scene.start()
        return scene.finish()
    finally:
        scene.close()


def killed_while_sending(ground: Ground, inject: Mapping[str, str]) -> Outcome:
    """The worker is killed while the receiver still thinks about the first message."""
    asked, gone = threading.Event(), threading.Event()

    def mood() -> bool:
        if gone.is_set():
            return True
        asked.set()
        gone.wait(HANG_S)
        return False

    scene = _scene(ground, inject, workers=1, mood=mood)
    try:
        scene.start()
        [worker] = scene.workers
        wait_until(asked.is_set, timeout=HANG_S, what="a message on its way")
        with worker.busy:
            worker.kill()
            gone.set()
            worker.start()
        return scene.finish()
    finally:
        gone.set()
        scene.close()


HUNTS: dict[str, Hunt] = {
    "fence_removed": two_at_once,
    "closers_lock_removed": closing_while_committing,
    "cache_not_reloaded": two_at_once,
    "foreign_watermark": one_behind_the_other,
    "sent_before_sending": killed_while_sending,
}
