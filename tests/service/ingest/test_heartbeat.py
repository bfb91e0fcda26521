"""When a worker is taken for stuck, and when not."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from tests.servers.waiting import wait_until
from tidegauge_service.config.stream_file import Watchdog
from tidegauge_service.ingest.heartbeat import (
    Beat,
    Heartbeat,
    HeartbeatWatch,
    Phase,
    stopped_from_outside,
)

LIMITS = Watchdog.model_validate({"batch": "10s", "poll": "30s"})


def looks(beat: Beat, *times: float, stopped_at: float = -1) -> list[float | None]:
    watch = HeartbeatWatch(LIMITS)
    return [watch.look(beat, now, stopped=now == stopped_at) for now in times]


def test_an_lf_is_stuck_once_the_limit_is_over() -> None:
    beat = Beat(Phase.PROBING, 3, 100.0)
    assert looks(beat, 106.0, 110.0, 110.5) == [None, None, 10.5]


@pytest.mark.parametrize("phase", [Phase.DECODING, Phase.PROBING, Phase.COUNTING])
def test_work_on_a_batch_has_the_batchs_limit(phase: Phase) -> None:
    assert looks(Beat(phase, 0, 0.0), 9.0, 11.0) == [None, 11.0]


def test_a_poll_has_its_own() -> None:
    assert looks(Beat(Phase.POLLING, -1, 0.0), 28.0, 29.0, 31.0) == [None, None, 31.0]


@pytest.mark.parametrize("phase", [Phase.STARTING, Phase.STORING, Phase.WAITING])
def test_a_slow_database_is_waited_for(phase: Phase) -> None:
    assert looks(Beat(phase, -1, 0.0), 1_000.0, 1_001.0) == [None, None]


def test_a_beat_seen_once_may_have_been_read_while_it_was_written() -> None:
    watch = HeartbeatWatch(LIMITS)
    assert watch.look(Beat(Phase.PROBING, 1, 0.0), 50.0) is None
    assert watch.look(Beat(Phase.PROBING, 2, 0.0), 50.5) is None
    assert watch.look(Beat(Phase.PROBING, 2, 0.0), 51.0) == 51.0


def test_a_process_that_was_halted_is_not_blamed() -> None:
    beat = Beat(Phase.PROBING, 3, 100.0)
    assert looks(beat, 108.0, 112.0, 116.0, 121.0, 122.5, stopped_at=112.0) == [
        None,
        None,
        None,
        None,
        10.5,
    ]


def test_nor_is_one_whose_supervisor_was_halted_with_it() -> None:
    beat = Beat(Phase.PROBING, 3, 100.0)
    assert looks(beat, 101.0, 500.0, 504.0, 508.0, 511.0) == [None, None, None, None, 11.0]


def test_another_process_writes_what_this_one_reads() -> None:
    heartbeat = Heartbeat()
    assert heartbeat.read() == Beat(Phase.STARTING, 0, 0.0)
    code = (
        "import sys; from tidegauge_service.ingest.heartbeat import Heartbeat, Phase;"
        "Heartbeat(int(sys.argv[1])).beat(Phase.PROBING, 7, 5.0)"
    )
    fd = heartbeat.fd
    subprocess.run([sys.executable, "-c", code, str(fd)], pass_fds=(fd,), check=True)
    beat = heartbeat.read()
    assert (beat.phase, beat.column) == (Phase.PROBING, 7)
    assert 0 < beat.since_s <= time.monotonic() - 5, "it had begun before"
    heartbeat.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="only Linux tells")  # noqa: PTH112
def test_a_halted_process_is_told_from_a_running_one() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        assert not stopped_from_outside(process.pid)
        process.send_signal(19)  # SIGSTOP
        wait_until(lambda: stopped_from_outside(process.pid), what="the halt")
    finally:
        process.kill()
        process.communicate()
    assert not stopped_from_outside(process.pid)
