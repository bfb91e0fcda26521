"""Workers that die, hang or cannot reach the database, on real Kafka and PostgreSQL."""

from __future__ import annotations

import os
import resource
import signal
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from tests.e2e.crew import Crew, Store, crew, store, stream_of, traffic
from tests.e2e.demo_stream import write_settings
from tests.e2e.running import tidegauge
from tests.servers.broker import Cluster
from tests.servers.ports import free_port
from tests.servers.postgres import PostgresServer
from tests.servers.waiting import wait_until
from tests.service import oracle
from tests.service.streams_for_tests import HOUR, START, record, write_jsonl, write_stream
from tests.service.transactions import read
from tidegauge_probes.counts.panes import PaneCounts, SegmentCounts
from tidegauge_probes.engine import QUARANTINED
from tidegauge_service.clock import to_iso
from tidegauge_service.store.alerting import alerts
from tidegauge_service.store.engine import Database
from tidegauge_service.store.windows import queries

pytestmark = pytest.mark.slow

TOKEN = "a-token-of-the-tests"
OUTAGE_S = float(os.environ.get("TIDEGAUGE_TEST_OUTAGE_S", "15"))


def seconds_until(check: Any, what: str) -> float:
    began = time.monotonic()
    wait_until(check, timeout=90, what=what)
    return time.monotonic() - began


def test_when_one_of_two_machines_dies_the_other_takes_over_and_windows_close(
    tmp_path: Path, kafka_broker: Cluster, postgres_url: str, record_property: Any
) -> None:
    topic = traffic(kafka_broker, partitions=4, records=3_000)
    with store(postgres_url) as kept:
        # Two machines: each has a name of its own in the group.
        streams = []
        for n in "ab":
            (tmp_path / n).mkdir()
            streams.append(stream_of(tmp_path / n, topic, source={"instance": f"{n}-{{worker}}"}))
        with (
            crew("consume", streams[0], name="a", database=postgres_url) as one,
            crew("consume", streams[1], name="b", database=postgres_url) as two,
        ):
            topic.send(1_000)
            kept.wait_for(topic, two)
            wait_until(
                lambda: len(one.held("test-1")) == len(two.held("test-1")) == 2,
                what="both to own partitions",
            )
            closed = kept.closed_through()
            topic.send(1_500)
            # The whole machine at once: first the worker, so that it cannot take leave.
            os.kill(one.pids()[-1], signal.SIGKILL)
            one.process.kill()
            topic.send(3_000)
            delay = seconds_until(
                lambda: all(p.next_offset == 3_000 for p in kept.partitions()), "the takeover"
            )
            record_property("takeover_seconds", round(delay, 1))
            wait_until(lambda: (kept.closed_through() or 0) > (closed or 0), what="windows close")
            assert two.stop() == 0
        kept.assert_exact(topic)


def test_a_worker_that_is_killed_is_started_again_in_its_seat(
    tmp_path: Path, kafka_broker: Cluster, postgres_url: str
) -> None:
    topic = traffic(kafka_broker, partitions=4, records=2_000)
    stream = stream_of(tmp_path, topic, source={"session_timeout": "30s"})
    with store(postgres_url) as kept:
        with crew("consume", stream, "--workers", "2", database=postgres_url) as running:
            topic.send(700)
            kept.wait_for(topic, running)
            wait_until(
                lambda: len(running.held("test-1")) == len(running.held("test-2")) == 2,
                what="both to own partitions",
            )
            other = len(running.events("assignment", worker="test-2"))
            os.kill(running.pids()[0], signal.SIGKILL)
            topic.send(2_000)
            kept.wait_for(topic, running)
            assert [e["worker"] for e in running.events("worker_died")] == ["test-1"]
            after = len(running.events("assignment", worker="test-2"))
            assert after == other, "a seat that is taken again moves nobody else's partitions"
            assert running.stop() == 0
        kept.assert_exact(topic)


def test_a_worker_that_cannot_be_started_for_now_is_started_later(
    tmp_path: Path, kafka_broker: Cluster, postgres_url: str
) -> None:
    """Found under a full disk: the supervisor ended, and nobody was left to start a worker."""
    topic = traffic(kafka_broker, partitions=2, records=2_000)
    stream = stream_of(tmp_path, topic)
    with store(postgres_url) as kept:
        with crew("consume", stream, database=postgres_url) as running:
            topic.send(700)
            kept.wait_for(topic, running)
            supervisor = running.process.pid
            before = resource.prlimit(supervisor, resource.RLIMIT_NOFILE)
            resource.prlimit(supervisor, resource.RLIMIT_NOFILE, (3, before[1]))
            os.kill(running.pids()[0], signal.SIGKILL)
            wait_until(
                lambda: any("cannot be started" in e["why"] for e in running.events("worker_died")),
                what="a start that fails",
            )
            resource.prlimit(supervisor, resource.RLIMIT_NOFILE, before)
            topic.send(2_000)
            kept.wait_for(topic, running)
            assert running.stop() == 0
        kept.assert_exact(topic)


HANGS = {
    "loop": "    while int(x.id[1:]) > 1_800 and x.text == 'free':\n        pass\n",
    # A regular expression holds Python's lock: no thread of the process can stop it.
    "regex": "    if int(x.id[1:]) > 1_800:\n        re.match(r'(a+)+$', 'a' * 60 + 'b')\n",
}


@pytest.mark.parametrize("kind", HANGS)
def test_an_lf_that_hangs_is_quarantined_and_told_of_and_all_other_counts_are_exact(
    tmp_path: Path, kafka_broker: Cluster, postgres_url: str, kind: str
) -> None:
    (tmp_path / "my_lfs.py").write_text(
        "import re\n"
        "def mentions_free(x):\n    return 1 if 'free' in x.text else -1\n"
        "def thanks(x):\n    return 0 if 'thanks' in x.text else -1\n"
        "def short(x):\n    return 0 if len(x.text.split()) < 3 else -1\n"
        f"def hangs(x):\n{HANGS[kind]}    return -1\n"
        "LFS = [mentions_free, thanks, short, hangs]\n"
    )
    write_settings(tmp_path, receivers={"log": {"kind": "log"}})
    topic = traffic(kafka_broker, partitions=2, records=3_000, every_ms=60_000)
    stream = stream_of(
        tmp_path,
        topic,
        probes="my_lfs:LFS",
        watchdog={"batch": "2s"},
        alerts={"receivers": ["log"]},
        baseline={"from": to_iso(START), "until": to_iso(START + 20 * HOUR)},
    )
    port = free_port()
    with store(postgres_url) as kept:
        options = ("--port", str(port), "--workers", "2")
        settings = {"database": postgres_url, "token": TOKEN}
        with crew("run", stream, *options, **settings) as running:
            topic.send(3_000)
            kept.wait_for(topic, running)
            check_is_shown(running, port)
            wait_until(lambda: error_alert(kept), timeout=60, what="the alert of its failures")
            wait_until(
                lambda: [
                    e
                    for e in running.events("notification")
                    if "LF 'hangs' is quarantined" in e["headline"]
                ],
                what="the message",
            )
            check_the_other_counts(kept, topic.inputs)

            tidegauge("probes", "release", "test", "hangs", cwd=tmp_path, database=postgres_url)
            again = tidegauge(
                *("probes", "release", "test", "hangs"),
                cwd=tmp_path,
                check=False,
                database=postgres_url,
            )
            assert again.returncode == 2
            assert "is not quarantined" in " ".join(again.stderr.split())
            assert running.stop() == 0


def check_is_shown(running: Crew, port: int) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    url = f"http://127.0.0.1:{port}"
    [stream] = httpx2.get(f"{url}/api/v1/streams", headers=headers).json()["items"]
    assert [q["probe"] for q in stream["quarantined"]] == ["hangs"]
    assert "watchdog.batch" in stream["quarantined"][0]["reason"]
    text = httpx2.get(f"{url}/metrics", headers=headers).text
    assert 'tidegauge_lf_quarantined{probe="hangs",stream="test"} 1.0' in text
    assert "tidegauge_lf_run_seconds_total{" in text, "the workers' own figures are added up"
    assert "Quarantined" in httpx2.get(f"{url}/", headers=headers).text
    stuck = running.events("worker_stuck")
    assert {e["lf"] for e in stuck} == {"hangs"}
    assert {e["phase"] for e in stuck} == {"probing"}


def error_alert(kept: Store) -> bool:
    found = read(kept.database, alerts.page, stream="test")
    return any((a.key.series, a.key.probe) == ("error", "hangs") for a in found)


def check_the_other_counts(kept: Store, inputs: Any) -> None:
    wanted = oracle.expected(inputs)
    found = oracle.panes(kept.database, kept.stream)
    assert found.keys() == wanted.keys()
    failed = 0
    for place, pane in found.items():
        failed += (errors := int(pane.all.errors[3]))
        assert pane.faults.get((3, QUARANTINED), (0, ""))[0] == errors
        ours, theirs = oracle.tally_pane(without_last_lf(pane)), wanted[place]
        for name in ("_all blind", "country=DE blind", "country=FR blind"):
            ours.pop(name, None)  # where an LF failed, nobody knows whether it was blind
            theirs.pop(name, None)
        assert ours == theirs
    assert failed > 0


def without_last_lf(pane: PaneCounts) -> PaneCounts:
    segments = {
        name: SegmentCounts(c.totals, c.outcomes[:-1], c.overlaps[:-1], c.conflicts[:-1])
        for name, c in pane.segments.items()
    }
    return PaneCounts(pane.lfs - 1, pane.classes, segments, pane.gram)


def test_a_poll_that_does_not_return_is_ended_from_outside(
    tmp_path: Path, kafka_broker: Cluster, postgres_url: str
) -> None:
    # A module of LFs can do anything to the process: here it lets the tenth poll hang, once.
    (tmp_path / "my_lfs.py").write_text(
        "import itertools, os, time, kafka\n"
        "poll, numbers = kafka.KafkaConsumer.poll, itertools.count()\n"
        "def hangs(self, *args, **kwargs):\n"
        "    if next(numbers) == 10 and not os.path.exists('hung'):\n"
        "        open('hung', 'w').close()\n"
        "        time.sleep(3600)\n"
        "    return poll(self, *args, **kwargs)\n"
        "kafka.KafkaConsumer.poll = hangs\n"
        "def mentions_free(x):\n    return 1 if 'free' in x.text else -1\n"
        "def thanks(x):\n    return 0 if 'thanks' in x.text else -1\n"
        "def short(x):\n    return 0 if len(x.text.split()) < 3 else -1\n"
        "LFS = [mentions_free, thanks, short]\n"
    )
    topic = traffic(kafka_broker, partitions=2, records=500)
    stream = stream_of(tmp_path, topic, probes="my_lfs:LFS", watchdog={"poll": "2s"})
    with store(postgres_url) as kept:
        with crew("consume", stream, database=postgres_url) as running:
            topic.send(500)
            kept.wait_for(topic, running)
            wait_until(lambda: running.events("worker_stuck"), what="the watchdog")
            assert {e["phase"] for e in running.events("worker_stuck")} == {"polling"}
            wait_until(lambda: len(running.pids()) > 1, what="the next worker")
            topic.send(500)
            assert running.stop() == 0
        kept.assert_exact(topic)
        assert read(kept.database, queries.summary, kept.stream).quarantined == ()


@pytest.fixture
def own_postgres() -> Any:
    # Durable: what was committed is there after a crash, whoever reads it again or not.
    server = PostgresServer(durable=True)
    server.start()
    yield server
    server.close()


def resident_mib(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@pytest.mark.postgres
def test_a_database_that_is_down_stops_nothing_for_good_and_loses_nothing(
    tmp_path: Path,
    kafka_broker: Cluster,
    own_postgres: PostgresServer,
    record_property: Any,
) -> None:
    url = own_postgres.create_database()
    topic = traffic(kafka_broker, partitions=4, records=8_000)
    stream = stream_of(tmp_path, topic, limits={"commit_records": 1_000})
    port = free_port()
    with store(url) as kept:
        options = ("--workers", "2", "--port", str(port))
        with crew("run", stream, *options, database=url, token=TOKEN) as running:
            topic.send(2_000)
            kept.wait_for(topic, running)
            before = [resident_mib(pid) for pid in running.pids()]
            own_postgres.stop("immediate")
            began = time.monotonic()
            topic.send(8_000)

            def told() -> Any:
                answer = httpx2.get(f"http://127.0.0.1:{port}/readyz")
                return answer.status_code == 503 and answer.json()["reason"]

            assert "cannot use the database" in wait_until(told, what="readiness to tell")
            parts = ("ingest-test", "evaluate-test", "sight-test")
            wait_until(
                lambda: all(len(running.events("in_trouble", part=p)) == 2 for p in parts),
                what="both workers to notice",
            )
            # Several rounds of retries, at full input (benchmarks.md has the figure of a minute).
            [pause] = {len(running.events("in_trouble", part=p)) for p in parts}
            wait_until(lambda: time.monotonic() > began + OUTAGE_S, timeout=90, what="an outage")
            during = [resident_mib(pid) for pid in running.pids()]
            assert {len(running.events("in_trouble", part=p)) for p in parts} == {pause}
            assert max(b - a for a, b in zip(before, during, strict=True)) < 64
            record_property("resident_mib", {"before": before, "while_down": during})
            own_postgres.start()
            kept.database.engine.dispose()
            kept.wait_for(topic, running)
            wait_until(
                lambda: httpx2.get(f"http://127.0.0.1:{port}/readyz").status_code == 200,
                what="readiness",
            )
            assert len(running.pids()) == 2, "no worker had to be started again"
            assert running.stop() == 0
        kept.assert_exact(topic)


@pytest.mark.postgres
def test_sigterm_ends_it_in_peace_while_the_database_is_down(
    tmp_path: Path, kafka_broker: Cluster, own_postgres: PostgresServer
) -> None:
    url = own_postgres.create_database()
    topic = traffic(kafka_broker, partitions=2, records=1_000)
    with store(url) as kept:
        stream = stream_of(tmp_path, topic)
        with crew("consume", stream, "--workers", "2", database=url) as running:
            topic.send(1_000)
            kept.wait_for(topic, running)
            own_postgres.stop("immediate")
            wait_until(lambda: running.events("in_trouble", part="ingest-test"), what="trouble")
            assert running.stop() == 0
            assert not running.events("worker_killed"), "both left by themselves"
            own_postgres.start()
        kept.database.engine.dispose()
        kept.assert_exact(topic)


def test_sigterm_ends_workers_that_do_not_answer_when_the_grace_is_over(
    tmp_path: Path, kafka_broker: Cluster, postgres_url: str
) -> None:
    topic = traffic(kafka_broker, partitions=2, records=300)
    with store(postgres_url) as kept:
        stream = stream_of(tmp_path, topic)
        with crew("consume", stream, database=postgres_url, grace="2s") as running:
            topic.send(300)
            kept.wait_for(topic, running)
            os.kill(running.pids()[0], signal.SIGSTOP)
            assert running.stop() == 0
            assert len(running.events("worker_killed")) == 1
        kept.assert_exact(topic)


def test_a_worker_whose_supervisor_is_killed_leaves(
    tmp_path: Path, kafka_broker: Cluster, postgres_url: str
) -> None:
    topic = traffic(kafka_broker, partitions=1, records=100)
    with (
        store(postgres_url) as kept,
        crew("consume", stream_of(tmp_path, topic), database=postgres_url) as running,
    ):
        topic.send(100)
        kept.wait_for(topic, running)
        [pid] = running.pids()
        running.process.kill()
        running.process.wait()
        wait_until(lambda: gone(pid), what="the worker to leave")
        kept.assert_exact(topic)


def gone(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return True
    return stat.rpartition(")")[2].split()[0] == "Z"


def test_a_restart_in_its_seat_moves_nobody_and_a_seat_has_one_worker(
    tmp_path: Path, kafka_broker: Cluster, postgres_url: str
) -> None:
    topic = traffic(kafka_broker, partitions=4, records=900)
    streams = []
    for n in "ab":
        (tmp_path / n).mkdir()
        seat = {"instance": f"{n}-{{worker}}", "session_timeout": "30s"}
        streams.append(stream_of(tmp_path / n, topic, source=seat))
    with store(postgres_url) as kept:
        with crew("consume", streams[1], name="b", database=postgres_url) as two:
            with crew("consume", streams[0], name="a", database=postgres_url) as one:
                wait_until(
                    lambda: len(one.held("test-1")) == len(two.held("test-1")) == 2,
                    what="both to own partitions",
                )
                topic.send(300)
                kept.wait_for(topic, two)
                before = len(two.events("assignment"))
                assert one.stop() == 0
            with crew("consume", streams[0], name="a2", database=postgres_url) as again:
                topic.send(600)
                kept.wait_for(topic, again)
                assert len(two.events("assignment")) == before
                with crew("consume", streams[0], name="a3", database=postgres_url) as third:
                    assert again.process.wait(timeout=60) == 2
                    assert "source.instance" in again.log.read_text()
                    topic.send(900)
                    kept.wait_for(topic, third)
                    assert third.stop() == 0
            assert two.stop() == 0
        kept.assert_exact(topic)


def test_a_worker_that_crashes_is_started_again(tmp_path: Path) -> None:
    (tmp_path / "my_lfs.py").write_text(
        "import os, pathlib\n"
        "tries = pathlib.Path('tries')\n"
        "n = int(tries.read_text()) if tries.exists() else 0\n"
        "tries.write_text(str(n + 1))\n"
        "if n < 2:\n    os.kill(os.getpid(), 11)\n"
        "def lf(x):\n    return 1\n"
        "LFS = [lf]\n"
    )
    write_jsonl(tmp_path / "records.jsonl", [record(n, "hello") for n in range(100)])
    stream = write_stream(tmp_path, probes="my_lfs:LFS")
    database = f"sqlite:///{tmp_path}/x.db"
    done = tidegauge("consume", stream, "--drain", cwd=tmp_path, database=database)
    died = [line for line in done.stderr.splitlines() if '"event": "worker_died"' in line]
    assert len(died) == 2
    assert all("signal SIGSEGV" in line for line in died)
    found = Database(database)
    [summary] = read(found, queries.summaries)
    found.close()
    assert summary.records == 100


DIES = {
    "segfault": ("ctypes.string_at(0)", 3),
    # The first of them has counted records before: it may have been killed from outside.
    "kill": ("os.kill(os.getpid(), signal.SIGKILL)", 4),
}


def dying_stream(folder: Path, deed: str, *, times: int = 10**9) -> Path:
    """Write a stream of 800 records; the LF ``dies`` does *deed* on one of them, so many times."""
    (folder / "my_lfs.py").write_text(
        "import ctypes, os, pathlib, signal\n"
        "def free(x):\n    return 1 if 'free' in x.text else -1\n"
        "def dies(x):\n"
        "    if x.id == 'r600':\n"
        "        tries = pathlib.Path('tries')\n"
        "        n = int(tries.read_text()) if tries.exists() else 0\n"
        "        tries.write_text(str(n + 1))\n"
        f"        if n < {times}:\n            {deed}\n"
        "    return 0\n"
        "LFS = [free, dies]\n"
    )
    write_jsonl(folder / "records.jsonl", [record(n, "free") for n in range(800)])
    return write_stream(folder, probes="my_lfs:LFS", limits={"commit_records": 200})


@pytest.mark.parametrize(("deed", "deaths"), DIES.values(), ids=DIES)
def test_an_lf_that_ends_its_process_is_quarantined_and_every_record_is_counted(
    tmp_path: Path, deed: str, deaths: int
) -> None:
    stream = dying_stream(tmp_path, deed)
    database = f"sqlite:///{tmp_path}/x.db"
    done = tidegauge("run", stream, "--drain", cwd=tmp_path, database=database)
    assert done.stderr.count('"event": "worker_died"') == deaths
    died = [line for line in done.stderr.splitlines() if '"event": "worker_died"' in line]
    assert all("while it ran LF 'dies'" in line for line in died), "not only at the third death"
    assert '"event": "lf_quarantined"' in done.stderr
    found = Database(database)
    [summary] = read(found, queries.summaries)
    assert summary.records == 800
    assert [q.probe for q in summary.quarantined] == ["dies"]
    assert "3 times in a row" in summary.quarantined[0].reason
    found.close()


def test_an_lf_that_killed_its_worker_once_is_no_reason_to_stop_calling_it(
    tmp_path: Path,
) -> None:
    stream = dying_stream(tmp_path, "os._exit(0)", times=2)
    database = f"sqlite:///{tmp_path}/x.db"
    done = tidegauge("run", stream, "--drain", cwd=tmp_path, database=database)
    assert "lf_quarantined" not in done.stderr
    found = Database(database)
    [summary] = read(found, queries.summaries)
    assert (summary.records, list(summary.quarantined)) == (800, [])
    found.close()


def test_a_module_that_ends_the_process_is_refused(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "records.jsonl", [record(n, "hello") for n in range(3)])
    stream = write_stream(tmp_path, probes="my_lfs:LFS")
    database = f"sqlite:///{tmp_path}/x.db"
    (tmp_path / "my_lfs.py").write_text("import os\nos._exit(0)\n")
    done = tidegauge("run", stream, "--drain", cwd=tmp_path, check=False, database=database)
    assert done.returncode == 1
    assert "it ended unexpectedly with exit code 0" in " ".join(done.stderr.split())


def test_a_worker_that_is_told_to_stop_by_somebody_else_is_replaced(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "records.jsonl", [record(n, "hello") for n in range(100)])
    stream = write_stream(tmp_path)
    with crew("consume", stream, database=f"sqlite:///{tmp_path}/x.db") as running:
        wait_until(lambda: running.pids() and running.events("assignment"), what="a worker at work")
        os.kill(running.pids()[0], signal.SIGTERM)
        wait_until(lambda: len(running.events("worker_started")) == 2, what="another worker")
        assert "unexpectedly" in running.events("worker_died")[0]["why"]
        assert running.stop() == 0


def test_settings_that_are_wrong_end_it_with_their_exit_code(
    tmp_path: Path, kafka_broker: Cluster
) -> None:
    topic = traffic(kafka_broker, partitions=1, records=1)
    database = f"sqlite:///{tmp_path}/x.db"

    def refused(stream: Path, *options: str) -> str:
        done = tidegauge("consume", stream, *options, cwd=tmp_path, check=False, database=database)
        assert done.returncode == 2, done.stderr
        return " ".join(done.stderr.split())

    probes = stream_of(tmp_path, topic, probes="no_such_module:LFS")
    assert "no_such_module" in refused(probes, "--workers", "2")
    seat = stream_of(tmp_path, topic, source={"instance": "{host}"})
    assert "only {hostname}, {stream} and {worker}" in refused(seat)
    (tmp_path / "records.jsonl").write_text("")
    config = yaml.safe_load(seat.read_text()) | {"source": {"kind": "file", "path": "*.jsonl"}}
    seat.write_text(yaml.safe_dump(config))
    assert "has a file source, which only one process can read" in refused(seat, "--workers", "2")
