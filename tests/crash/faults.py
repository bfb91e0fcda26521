"""A storm of faults: which one when is decided by the seed; what it hits may be busy by then."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.crash.processes import tell
from tests.crash.proxy import Proxy
from tests.crash.workers import Worker

HOUR_MS = 3_600_000

Pause = Callable[[float], object]
"""Waits some seconds, or until the storm is over."""


@dataclass(frozen=True)
class Fault:
    """Breaks something, waits, and mends it."""

    name: str
    weight: int
    strike: Callable[[random.Random, Pause], bool]
    """Returns whether it has struck; False: what it would hit was busy."""


@dataclass
class Storm:
    """Runs faults side by side until the time is over, and lets each mend what it broke."""

    faults: Sequence[Fault]
    seed: int
    gap_s: tuple[float, float]
    say: Callable[[str], None]
    struck: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)

    def blow(self, seconds: float, watch: Callable[[], bool]) -> None:
        """Strike until *seconds* are over or *watch*, asked between strikes, says enough.

        First each kind once, in any order and quickly: a short storm knows all of them.
        """
        over = threading.Event()
        dice = random.Random(f"storm:{self.seed}")
        first = dice.sample(self.faults, len(self.faults))
        weights = [fault.weight for fault in self.faults]
        deadline = time.monotonic() + seconds
        least_s, most_s = self.gap_s
        with ThreadPoolExecutor(6) as pool:
            while time.monotonic() < deadline and watch():
                fault = first.pop(0) if first else dice.choices(self.faults, weights)[0]
                strike = pool.submit(self._strike, fault, random.Random(dice.random()), over.wait)
                over.wait(dice.uniform(least_s, least_s + 1 if first else most_s))
                if strike.done() and not self.struck[fault.name]:  # what it would hit was busy
                    first.append(fault)
            over.set()

    def _strike(self, fault: Fault, dice: random.Random, pause: Pause) -> None:
        try:
            if fault.strike(dice, pause):
                self.struck[fault.name] += 1
                self.say(f"struck {fault.name}")
        except Exception as error:  # noqa: BLE001  (the storm goes on; the run fails at its end)
            self.errors.append(f"fault {fault.name}: {error!r}")


@contextmanager
def taken(lock: threading.Lock) -> Iterator[bool]:
    """Take a lock if it is free; say whether it was."""
    got = lock.acquire(blocking=False)
    try:
        yield got
    finally:
        if got:
            lock.release()


WorkerFault = Callable[[Worker, random.Random, Pause], None]


def on_worker(name: str, weight: int, workers: Sequence[Worker], strike: WorkerFault) -> Fault:
    """Make a fault of any one of the workers."""

    def one(dice: random.Random, pause: Pause) -> bool:
        worker = dice.choice(workers)
        with taken(worker.busy) as mine:
            if mine and worker.running:
                strike(worker, dice, pause)
                return True
        return False

    return Fault(name, weight, one)


def alone(
    name: str, weight: int, lock: threading.Lock, strike: Callable[[random.Random, Pause], object]
) -> Fault:
    """Make a fault of something that there is one of."""

    def one(dice: random.Random, pause: Pause) -> bool:
        with taken(lock) as mine:
            if mine:
                strike(dice, pause)
            return mine

    return Fault(name, weight, one)


def sigkill(worker: Worker, dice: random.Random, pause: Pause) -> None:
    """Kill supervisor and worker, and start them again."""
    worker.kill()
    pause(dice.uniform(0, 1.5))
    worker.start()


def worker_kill(worker: Worker, _dice: random.Random, _pause: Pause) -> None:
    """Kill the worker; its supervisor starts another."""
    worker.kill_worker()


def supervisor_kill(worker: Worker, dice: random.Random, pause: Pause) -> None:
    """Kill the supervisor; the next one meets the worker that is about to leave."""
    orphans = worker.orphan()
    pause(dice.choice((0.0, dice.uniform(0, 2))))
    worker.start()
    worker.bury(orphans)


def sigterm(worker: Worker, dice: random.Random, pause: Pause) -> None:
    """Ask it to end, and start it again."""
    worker.terminate()
    pause(dice.uniform(0, 1))
    worker.start()


def sigstop(longest_s: float) -> WorkerFault:
    """Freeze it, long enough now and then that the others think it dead; it wakes as a zombie.

    Either the worker alone, which its supervisor must bear with, or both.
    """

    def strike(worker: Worker, dice: random.Random, pause: Pause) -> None:
        pids = worker.pids
        frozen = pids[1:] if dice.random() < 0.5 else pids
        tell(frozen, signal.SIGSTOP)
        try:
            pause(dice.uniform(0.2, longest_s))
        finally:
            tell(reversed(frozen), signal.SIGCONT)

    return strike


def clock_jump(worker: Worker, dice: random.Random, pause: Pause) -> None:
    """Let its clock jump by hours or days, either way, and back.

    A message that was written under a clock ahead may be late by two hours, not by days.
    """
    worker.clock.set(dice.choice((-1, 1)) * dice.randint(3, 72) * HOUR_MS)
    pause(dice.uniform(1, 6))
    worker.clock.set(0)


def disk_full(worker: Worker, dice: random.Random, pause: Pause) -> None:
    """Let no file of it grow any more: the database and its journal, or its log, too."""
    worker.limit_files(dice.choice((0, 256 * 1024)))
    try:
        pause(dice.uniform(1, 4))
    finally:
        worker.limit_files(None)


def network(proxies: Sequence[Proxy], dice: random.Random, pause: Pause) -> None:
    """Cut the network, or let it hang."""
    cut = dice.random() < 0.5
    for proxy in proxies:
        proxy.cut() if cut else proxy.freeze()
    try:
        pause(dice.uniform(0.5, 8))
    finally:
        for proxy in proxies:
            proxy.heal()


def on_workers(workers: Sequence[Worker], longest_s: float) -> list[Fault]:
    """Return the faults of any worker, whatever it reads, with their weights."""
    return [
        on_worker("sigkill", 6, workers, sigkill),
        on_worker("worker_kill", 6, workers, worker_kill),
        on_worker("supervisor_kill", 3, workers, supervisor_kill),
        on_worker("sigterm", 3, workers, sigterm),
        on_worker("sigstop", 4, workers, sigstop(longest_s)),
        on_worker("clock_jump", 4, workers, clock_jump),
    ]


KILLS = ("sigkill", "worker_kill", "supervisor_kill")
"""The faults that end processes with SIGKILL."""
