"""Each fixture starts the real thing, and the real thing does its work."""

import random
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import psycopg
import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from tests.servers.alertmanager import AlertmanagerServer
from tests.servers.broker import Cluster, KafkaBroker, cluster_id
from tests.servers.chromium import Chromium
from tests.servers.ports import HIGHEST, accepts, free_port, is_free
from tests.servers.postgres import PostgresServer
from tests.servers.process import ServerError, ServerProcess
from tests.servers.prometheus import PrometheusServer, ScrapeTarget
from tests.servers.required import absent, require_package, require_program
from tests.servers.waiting import wait_until

TOKEN = "made-up"
PNG_MAGIC = b"\x89PNG\r\n\x1a\n"


class Pages(BaseHTTPRequestHandler):
    """A page with a script, and metrics that ask for a token."""

    bodies: ClassVar[dict[str, bytes]] = {
        "/": b"<!doctype html><title>Tide</title><p id=p></p>"
        b"<script>p.textContent = 'high ' + 'water'</script>",
        "/metrics": b"# TYPE tide_level_meters gauge\ntide_level_meters 4.5\n",
    }

    def do_GET(self) -> None:
        body = self.bodies.get(self.path)
        allowed = self.path != "/metrics" or self.headers["Authorization"] == f"Bearer {TOKEN}"
        self.send_response(404 if body is None else 200 if allowed else 401)
        self.send_header("Content-Type", "text/plain" if self.path == "/metrics" else "text/html")
        self.end_headers()
        if body is not None and allowed:
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Keep the test's output quiet."""


@pytest.fixture
def address() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


# -- Kafka ----------------------------------------------------------------------------------------


def send(broker: Cluster, topic: str, *values: bytes) -> None:
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap)
    try:
        for value in values:
            producer.send(topic, value).get(timeout=30)
    finally:
        producer.close()


def read_all(broker: Cluster, topic: str) -> list[bytes]:
    partition = TopicPartition(topic, 0)
    consumer = KafkaConsumer(bootstrap_servers=broker.bootstrap)
    try:
        consumer.assign([partition])
        consumer.seek_to_beginning(partition)
        end = consumer.end_offsets([partition])[partition]
        values: list[bytes] = []
        wait_until(lambda: _poll_into(consumer, values) or len(values) >= end, what="all records")
        return values
    finally:
        consumer.close()


def _poll_into(consumer: KafkaConsumer, values: list[bytes]) -> bool:
    for records in consumer.poll(timeout_ms=200).values():
        values.extend(record.value for record in records)
    return False


def test_kafka_keeps_records(kafka_broker: Cluster) -> None:
    topic = kafka_broker.create_topic()
    send(kafka_broker, topic, b"one", b"two")
    assert read_all(kafka_broker, topic) == [b"one", b"two"]
    kafka_broker.delete_topic(topic)


def test_kafka_topics_have_the_partitions_asked_for(kafka_broker: Cluster) -> None:
    topic = kafka_broker.create_topic(partitions=3)
    consumer = KafkaConsumer(bootstrap_servers=kafka_broker.bootstrap)
    try:
        assert consumer.partitions_for_topic(topic) == {0, 1, 2}
    finally:
        consumer.close()


@pytest.mark.parametrize("end", [Cluster.stop, Cluster.kill])
def test_kafka_comes_back_with_its_port_and_data(
    kafka_broker: Cluster, end: Callable[[Cluster], None]
) -> None:
    topic = kafka_broker.create_topic()
    send(kafka_broker, topic, b"before")
    # Looked up by name: the fixture's class overrides what Cluster declares.
    getattr(kafka_broker, end.__name__)()
    assert not kafka_broker.answers()
    kafka_broker.start()
    assert read_all(kafka_broker, topic) == [b"before"]


def test_a_cluster_of_others_is_never_stopped() -> None:
    with pytest.raises(pytest.skip.Exception, match="TIDEGAUGE_TEST_KAFKA"):
        Cluster("127.0.0.1:1").kill()


def test_a_cluster_id_is_never_taken_for_an_option() -> None:
    ids = {cluster_id() for _ in range(500)}
    assert all(len(each) == 22 and not each.startswith("-") for each in ids)


def test_a_closed_broker_leaves_nothing_behind() -> None:
    broker = KafkaBroker()
    broker.close()
    assert not broker.folder.exists()


# -- PostgreSQL -----------------------------------------------------------------------------------


def plain(url: str) -> str:
    """SQLAlchemy's address, as psycopg itself reads it."""
    return url.replace("+psycopg", "")


def test_postgres_answers(postgres_url: str) -> None:
    with psycopg.connect(plain(postgres_url)) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_postgres_databases_are_fresh(postgres_server: PostgresServer) -> None:
    first, second = postgres_server.create_database(), postgres_server.create_database()
    with psycopg.connect(plain(first)) as connection:
        connection.execute("CREATE TABLE tide (level int)")
    with psycopg.connect(plain(second)) as connection:
        assert connection.execute("SELECT to_regclass('tide')").fetchone() == (None,)


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_durable_postgres_keeps_commits_over_restarts(mode: str) -> None:
    server = PostgresServer(durable=True)
    try:
        server.start()
        with psycopg.connect(plain(server.url())) as connection:
            assert connection.execute("SHOW fsync").fetchone() == ("on",)
            connection.execute("CREATE TABLE tide AS SELECT 7 AS level")
        server.stop(mode)
        assert not accepts(f"127.0.0.1:{server.port}")
        server.start()
        with psycopg.connect(plain(server.url())) as connection:
            assert connection.execute("SELECT level FROM tide").fetchone() == (7,)
    finally:
        server.close()
    assert not server.folder.exists()


# -- Prometheus and Alertmanager ------------------------------------------------------------------


def test_prometheus_scrapes_with_a_token(
    prometheus_server: Callable[..., PrometheusServer], address: str
) -> None:
    server = prometheus_server([ScrapeTarget(address, TOKEN), ScrapeTarget(address, job="bare")])
    (up,) = server.wait_for('up{job="tidegauge"} == 1')
    assert up["metric"]["instance"] == address
    assert [series["value"][1] for series in server.wait_for("tide_level_meters")] == ["4.5"]
    assert server.wait_for('up{job="bare"} == 0')
    with pytest.raises(ServerError, match="parse error"):
        server.query("tide_level_meters{")


def test_prometheus_sends_alerts_of_rules_to_alertmanager(
    prometheus_server: Callable[..., PrometheusServer],
    alertmanager_server: Callable[..., AlertmanagerServer],
    tmp_path: Path,
) -> None:
    rules = tmp_path / "rules.yml"
    rules.write_text("groups: [{name: g, rules: [{alert: Always, expr: vector(1)}]}]")
    alertmanager = alertmanager_server()
    server = prometheus_server(
        rule_files=[rules], alertmanagers=[alertmanager.url.removeprefix("http://")]
    )
    assert server.promtool("check", "rules", rules).returncode == 0
    alerts = wait_until(alertmanager.alerts, what="the alert")
    assert alerts[0]["labels"]["alertname"] == "Always"


def test_promtool_complains_about_a_bad_metric_name(
    prometheus_server: Callable[..., PrometheusServer],
) -> None:
    bad = prometheus_server().promtool("check", "metrics", stdin="# TYPE a gauge\na_total 1\n")
    assert bad.returncode != 0


# -- Chromium -------------------------------------------------------------------------------------


def test_chromium_takes_a_picture(chromium: Chromium, address: str, tmp_path: Path) -> None:
    picture = chromium.screenshot(f"http://{address}/", tmp_path / "page.png", width=400)
    header = picture.read_bytes()[:24]
    assert header.startswith(PNG_MAGIC)
    assert int.from_bytes(header[16:20], "big") == 400


def test_chromium_runs_scripts(chromium: Chromium, address: str) -> None:
    assert "high water" in chromium.dump_dom(f"http://{address}/")


# -- What they share ------------------------------------------------------------------------------


def test_a_missing_program_skips_on_a_laptop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="apt-get install tide"):
        require_program("no-such-program", install="apt-get install tide")


def test_a_missing_package_skips_on_a_laptop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    require_package("pytest", install="pip install pytest")
    with pytest.raises(pytest.skip.Exception, match="pip install tide"):
        require_package("no_such_package", install="pip install tide")


def test_a_missing_program_fails_on_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="not here"):
        absent("not here")


def test_a_server_that_dies_shows_its_log(tmp_path: Path) -> None:
    process = ServerProcess(["sh", "-c", "echo no water; exit 3"], log=tmp_path / "sh.log")
    with pytest.raises(ServerError, match="no water"):
        process.start(lambda: False)


def test_a_server_that_is_never_ready_is_ended(tmp_path: Path) -> None:
    process = ServerProcess(["sleep", "60"], log=tmp_path / "sleep.log")
    with pytest.raises(ServerError, match="sleep did not come true within"):
        process.start(lambda: False, timeout=0.2)
    assert not process.running


def test_stopping_ends_the_children_too(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    script = f"sleep 60 & echo $! > {pid_file}; wait"
    process = ServerProcess(["sh", "-c", script], log=tmp_path / "sh.log")
    process.start(lambda: pid_file.exists() and pid_file.read_text() != "")
    child = Path("/proc") / pid_file.read_text().strip()
    assert child.exists()
    process.stop()
    # Its new parent reaps it; until then it is a zombie ("Z"), which runs nothing.
    wait_until(lambda: not child.exists() or ") Z " in (child / "stat").read_text())


def test_waiting_gives_up(tmp_path: Path) -> None:
    with pytest.raises(TimeoutError, match="low tide"):
        wait_until(lambda: False, timeout=0.1, what="low tide")


def test_a_free_port_is_free() -> None:
    port = free_port()
    assert is_free(port)
    assert not accepts(f"127.0.0.1:{port}")


def test_a_port_is_given_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two servers of one test start later than both were given their ports."""
    drawn = iter([free_port(), free_port(), HIGHEST + 1])
    monkeypatch.setattr(random, "randint", lambda *_: next(drawn))
    assert free_port() == HIGHEST + 1
