"""Where a run takes place: workers, what they read, where they write, and how it is judged."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy.exc import DBAPIError

from tests.crash import faults, judge, oracle, reference, traffic
from tests.crash.faults import Fault, Storm
from tests.crash.judge import WAITING, Differences, Held
from tests.crash.oracle import Expected
from tests.crash.receiver import Mood, Receiver
from tests.crash.traffic import LATENESS_MS, WINDOW_MS, Mix
from tests.crash.workers import Trouble, Worker
from tests.servers.waiting import wait_until
from tidegauge_service.errors import StoreError
from tidegauge_service.jobs.dispatcher import LEASE_MS

SETTLE_S = 180.0


@dataclass
class Outcome:
    """What came out of one scene."""

    records: int = 0
    late: int = 0
    dead_letters: int = 0
    fenced: int = 0
    windows: int = 0
    transitions: int = 0
    notifications: int = 0
    repeated: int = 0
    """Deliveries beyond the first of a message."""
    delivered_again: int = 0
    """Batches in which a source brought inputs for the second time."""
    differences: Differences = field(default_factory=Differences)
    struck: Counter[str] = field(default_factory=Counter)


class Scene:
    """Workers of one stream on one database, and the receiver of its messages."""

    blank_counts = True
    """Whether an input of no bytes is one."""

    def __init__(
        self,
        folder: Path,
        *,
        seed: int,
        url: str,
        mood: Mood = lambda: True,
        refusing: float = 0.0,
        say: Callable[[str], None] = lambda _line: None,
    ) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.seed = seed
        self.url = url
        self.say = say
        self.trouble = Trouble()
        self.receiver = Receiver(seed, refusing=refusing, mood=mood)
        self.workers: list[Worker] = []
        self.settle_s = SETTLE_S
        self.hasty = False
        """Whether no clean run is needed once something is found to be wrong."""
        self._watching = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._positions: dict[Any, int] = {}

    def worker(
        self,
        name: str,
        source: Mapping[str, Any],
        *,
        database: str,
        inject: Mapping[str, str] | None = None,
        command: Sequence[str] = ("consume",),
        settings: Mapping[str, str] | None = None,
        **changes: Any,
    ) -> Worker:
        """Prepare a worker with a folder of its own; it is not started."""
        own = self.folder / name
        stream = traffic.write_stream(own, dict(source), **changes)
        traffic.write_settings(own, self.receiver.url)
        return Worker(
            name,
            stream,
            database=database,
            folder=self.folder,
            trouble=self.trouble,
            command=command,
            inject=inject,
            **(settings or {}),
        )

    @property
    def everyone(self) -> list[Worker]:
        """All workers that ever ran."""
        return self.workers

    def start(self) -> None:
        """Start the workers, and watch over them and the cursors."""
        for worker in self.workers:
            worker.start()
        self._watcher.start()

    def _watch(self) -> None:
        """Start again what ended by itself; see that no cursor ever falls."""
        while not self._watching.wait(0.5):
            for worker in self.workers:
                if worker.busy.acquire(blocking=False):
                    worker.revive()
                    worker.busy.release()
            held = self.look()
            if held is not None:
                self._see(held)

    def look(self) -> dict[Any, int] | None:
        """Return where cursors and positions stand; None while the database is away."""
        try:
            return judge.positions(self.url)
        except (StoreError, DBAPIError):
            return None

    def _moved(self, since: Mapping[Any, int] | None) -> dict[Any, int] | None:
        """Return where all stands, if that is elsewhere: a slow machine is not one that hangs."""
        now = self.look()
        return None if now == since else now

    def _see(self, held: Mapping[Any, int]) -> None:
        for what, at in held.items():
            if what != WAITING and at < self._positions.get(what, at):
                self.trouble.add(f"{what} fell from {self._positions[what]} to {at}")
            self._positions[what] = at

    def topic(self) -> Mapping[int, list[bytes]]:
        """Return what was there to read."""
        raise NotImplementedError

    def check(self, found: Differences) -> None:
        """Note what is wrong that only this scene knows of."""

    def closed_ms(self, expected: Expected) -> int:
        """Return through when windows must be closed in the end."""
        return expected.latest_ms - expected.latest_ms % WINDOW_MS + WINDOW_MS

    def finish(self, wind: Storm | None = None) -> Outcome:
        """Wait until everything is counted, evaluated and told; stop the workers; judge."""
        expected = oracle.judge_inputs(self.topic(), blank_counts=self.blank_counts)
        closed_ms = self.closed_ms(expected)
        goal: dict[Any, int] = {
            **expected.ends,
            "closed": closed_ms,
            "evaluated": closed_ms,
            WAITING: 0,
        }
        found = Differences()
        self.say("settling")
        for worker in self.everyone:  # the lease of a killed sender lasts a minute: not to wait
            worker.clock.set(2 * LEASE_MS)
        began = time.monotonic()
        at = self.look()
        try:
            while at != goal:
                at = wait_until(partial(self._moved, at), timeout=self.settle_s, interval=0.5)
        except TimeoutError:
            stand = at or {}
            wrong = {k: (stand.get(k), v) for k, v in goal.items() if stand.get(k) != v}
            found.add("hang", f"nothing moved for {self.settle_s:g} s; (is, should be): {wrong}")
        self.say(f"settled in {time.monotonic() - began:.1f} s")
        self._watching.set()
        self._watcher.join()
        for worker in self.workers:
            worker.terminate()
        return self._judge(expected, closed_ms, found, wind)

    def _judge(
        self, expected: Expected, closed_ms: int, found: Differences, wind: Storm | None
    ) -> Outcome:
        held = judge.read(self.url)
        (self.folder / "held.json").write_text(judge.dump(held))
        complaints = [line for worker in self.everyone for line in worker.complaints()]
        for line in [*self.trouble.lines, *complaints, *(wind.errors if wind else ())]:
            found.add("trouble", line)
        compared = judge.compare(held, expected, closed_ms)
        found.lines += compared.lines
        found.kinds += compared.kinds
        self.check(found)
        if not (self.hasty and found.lines):
            clean = reference.run(self.folder / "clean", expected, held, closed_ms)
            judge.compare_runs(found, held, clean.held, self.receiver.delivered)
        return self._outcome(expected, held, found, wind.struck if wind else Counter())

    def _outcome(
        self, expected: Expected, held: Held, found: Differences, struck: Counter[str]
    ) -> Outcome:
        return Outcome(
            records=expected.records,
            late=held.late.total(),
            dead_letters=len(held.letters),
            fenced=sum(worker.events("fenced") for worker in self.everyone),
            windows=len(held.windows),
            transitions=held.transitions.total(),
            notifications=len(held.messages),
            repeated=self.receiver.delivered.total() - len(self.receiver.delivered),
            delivered_again=sum(w.events("delivered_again") for w in self.everyone),
            differences=found,
            struck=struck,
        )

    def close(self) -> None:
        """End everything that it started."""
        self._watching.set()
        for worker in self.workers:
            worker.kill()
        self.receiver.close()


class FileScene(Scene):
    """Every worker reads all files of the folder: each overlaps with each."""

    blank_counts = False

    def __init__(
        self,
        folder: Path,
        *,
        seed: int,
        url: str | None = None,
        records: int,
        workers: int = 2,
        mix: Mix | None = None,
        inject: Mapping[str, str] | None = None,
        limits: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(folder, seed=seed, url=url or f"sqlite:///{folder}/store.db", **options)
        mix = mix or Mix(partitions=3)
        self._topic = {
            p: list(islice(traffic.values(seed, p, mix), records // mix.partitions))
            for p in range(mix.partitions)
        }
        for partition, values in self._topic.items():
            lines = b"".join(value + b"\n" for value in values)
            (folder / f"part-{partition:02d}.jsonl").write_bytes(lines)
        source = {"kind": "file", "path": f"{folder}/part-*.jsonl"}
        changes: dict[str, Any] = {"limits": dict(limits)} if limits else {}
        self.workers = [
            self.worker(f"worker{i}", source, database=self.url, inject=inject, **changes)
            for i in range(workers)
        ]

    def topic(self) -> Mapping[int, list[bytes]]:
        """Return the lines of the files."""
        return self._topic

    def faults(self) -> list[Fault]:
        """Return everything that can happen here, with its weight."""
        return [
            *faults.on_workers(self.workers, 6),
            faults.on_worker("disk_full", 3, self.workers, faults.disk_full),
        ]

    def done(self) -> bool:
        """Whether all was read."""
        at = self.look() or {}
        return all(at.get(p) == len(values) for p, values in self._topic.items())


def end_ms(expected: Expected) -> int:
    """Return the end of the last window that holds data."""
    return expected.latest_ms - expected.latest_ms % WINDOW_MS + WINDOW_MS


assert LATENESS_MS < WINDOW_MS
