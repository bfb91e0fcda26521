"""What is injected into a worker process: a shifted clock, duplicates, slow commits, mutants.

Runs inside the worker, before the product is imported by anybody else.
"""

from __future__ import annotations

import importlib
import mmap
import os
import random
import resource
import struct
import sys
import time
from collections.abc import Callable
from typing import Any


def install() -> None:
    """Patch what the environment asks for: the clock everywhere, all else in workers only."""
    shift_clock(os.environ["TIDEGAUGE_TEST_CLOCK"])
    keep_last_words()
    if "tidegauge_service.runtime.worker_process" not in sys.orig_argv:
        return
    duplicates = float(os.environ.get("TIDEGAUGE_TEST_DUPLICATES", "0"))
    if duplicates:
        deliver_twice(duplicates)
    slow_s = float(os.environ.get("TIDEGAUGE_TEST_SLOW_COMMIT", "0"))
    if slow_s:
        slow_commits(slow_s)
    wait_s = float(os.environ.get("TIDEGAUGE_TEST_SLOW_POLL", "0"))
    if wait_s:
        slow_polls(wait_s)
    mutant = os.environ.get("TIDEGAUGE_TEST_MUTANT")
    if mutant:
        from tests.crash.mutants import MUTANTS

        MUTANTS[mutant].patch()


def shift_clock(path: str) -> None:
    """Add to the service's clock what the file says, in ms, now."""
    from tidegauge_service import clock

    with open(path, "rb") as file:  # noqa: PTH123  (mmap wants its number)
        shift = mmap.mmap(file.fileno(), 8, prot=mmap.PROT_READ)

    def now_ms() -> int:
        return time.time_ns() // 1_000_000 + int(struct.unpack_from("<q", shift)[0])

    clock.now_ms = now_ms


def keep_last_words() -> None:
    """Let the traceback of what nobody caught be written, even on a disk that is full."""
    print_it = sys.excepthook

    def hook(*caught: Any) -> None:
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        print_it(*caught)

    sys.excepthook = hook


def deliver_twice(share: float) -> None:
    """Let polls bring again, now and then, what the poll before had brought.

    Not over a seek: no source brings what lies beyond the place that it was just sent back to.
    """
    from dataclasses import replace

    from tidegauge_service.ingest.sources.files.source import FileReader
    from tidegauge_service.ingest.sources.kafka.source import KafkaTopic
    from tidegauge_service.ingest.sources.log import EventLog

    dice = random.Random(os.getpid())

    before: list[Any] = []

    def wrapped(poll: Callable[..., Any]) -> Callable[..., Any]:
        def again(self: Any, max_records: int, timeout_s: float) -> Any:
            polled = poll(self, max_records, timeout_s)
            if polled.gained or polled.lost:
                before.clear()
            elif polled.inputs and dice.random() < share:
                polled = replace(polled, inputs=[*before, *polled.inputs])
            before[:] = list(polled.inputs)[-50:]
            return polled

        return again

    def forgetting(seek: Callable[..., None]) -> Callable[..., None]:
        def sought(self: Any, partition: int, offset: int) -> None:
            before[:] = [raw for raw in before if raw.partition != partition]
            seek(self, partition, offset)

        return sought

    for source in (FileReader, EventLog, KafkaTopic):
        source.poll = wrapped(source.poll)  # type: ignore[method-assign]
        source.seek = forgetting(source.seek)  # type: ignore[method-assign]


def slow_commits(seconds: float) -> None:
    """Wait in each commit between its reading of the closed cursor and its end."""
    commit: Any = importlib.import_module("tidegauge_service.store.ingest.commit")
    write = commit._write

    def slow(*arguments: Any) -> None:
        write(*arguments)
        time.sleep(seconds)

    commit._write = slow


def slow_polls(seconds: float) -> None:
    """Wait before each poll of files, some time or other: now one worker is ahead, now another.

    (Who is slow in its commits only, keeps SQLite's lock nearly always.)
    """
    from tidegauge_service.ingest.sources.files.source import FileReader

    poll = FileReader.poll
    dice = random.Random(os.getpid())

    def slow(self: Any, max_records: int, timeout_s: float) -> Any:
        time.sleep(dice.uniform(0, 2 * seconds))
        return poll(self, max_records, timeout_s)

    FileReader.poll = slow  # type: ignore[method-assign]
