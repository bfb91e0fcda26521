"""Avro with a real schema registry, from a real Kafka."""

from __future__ import annotations

import base64
import contextlib
import io
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import fastavro
import pytest
import sqlalchemy as sa

from tests.servers.broker import Cluster
from tests.servers.registry_server import RegistryServer
from tests.service.group import NOW
from tests.service.kafka_streams import kafka_stream, produce_batch, recorded
from tests.service.streams_for_tests import Reading
from tidegauge_service.config.settings import Settings
from tidegauge_service.config.sources import SchemaRegistry
from tidegauge_service.errors import SourceError
from tidegauge_service.ingest.codec.schema_registry import Registry
from tidegauge_service.ingest.codec.stream_codec import check_format
from tidegauge_service.store import schema

AUTHOR = {
    "type": "record",
    "name": "Author",
    "fields": [{"name": "name", "type": "string"}, {"name": "country", "type": "string"}],
}


def event(*more: dict[str, Any]) -> dict[str, Any]:
    fields = [
        {"name": "id", "type": "string"},
        {"name": "timestamp", "type": "long"},
        {"name": "text", "type": "string"},
        *more,
    ]
    return {"type": "record", "name": "Event", "fields": fields}


def written(number: int, schema_: Any, record: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    out.write(b"\0" + number.to_bytes(4, "big"))
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema_, _force=True), record)
    return out.getvalue()


def record(n: int, **more: Any) -> dict[str, Any]:
    return {"id": f"r{n}", "timestamp": NOW - 60_000 + n, "text": "please check out", **more}


def stream(folder: Path, broker: Cluster, topic: str, registry: RegistryServer) -> Reading:
    mapping = {"format": "avro", "schema_registry": {"url": registry.url}}
    return kafka_stream(folder, broker, topic, record=mapping)


def dead(run: Reading) -> list[tuple[int, str, str]]:
    t = schema.dead_letter
    query = sa.select(t.c.offset, t.c.reason, t.c.detail).order_by(t.c.offset)
    with run.database.read() as connection:
        return [tuple(row) for row in connection.execute(query)]


def test_each_record_is_read_with_the_schema_it_was_written_with(
    kafka_broker: Cluster, schema_registry: RegistryServer, tmp_path: Path
) -> None:
    """Versions, a schema in another subject, an id that nobody knows, and no Avro at all."""
    first, second = event(), event({"name": "stars", "type": "int", "default": 0})
    referring = event({"name": "author", "type": "Author"})
    whole = event({"name": "author", "type": AUTHOR})
    one = schema_registry.register("events-value", first)
    two = schema_registry.register("events-value", second)
    schema_registry.register("author", AUTHOR)
    references = [{"name": "Author", "subject": "author", "version": 1}]
    three = schema_registry.register("articles-value", referring, references)
    topic = kafka_broker.create_topic()
    values = [
        written(one, first, record(0)),
        written(two, second, record(1, stars=4)),
        written(three, whole, record(2, author={"name": "a", "country": "FR"})),
        written(999_999, first, record(3)),
        b'{"id": "r4"}',
        written(one, first, record(5))[:-3],
    ]
    produce_batch(kafka_broker, topic, values)
    run = stream(tmp_path, kafka_broker, topic, schema_registry)
    run.to_end()
    run.worker.close()
    assert recorded(run) == 3
    found = dead(run)
    assert [(offset, reason) for offset, reason, _ in found] == [
        (3, "unknown_schema"),
        (4, "not_avro"),
        (5, "not_avro"),
    ]
    assert "the schema registry has no schemas/ids/999999" in found[0][2]
    assert "no schema id at the start: the value begins with 7b22696422" in found[1][2]
    run.database.close()


def test_while_the_registry_is_down_nothing_is_counted_and_nothing_is_lost(
    kafka_broker: Cluster, schema_registry: RegistryServer, tmp_path: Path
) -> None:
    topic = kafka_broker.create_topic()
    number = schema_registry.register("waiting-value", event())
    produce_batch(kafka_broker, topic, [written(number, event(), record(n)) for n in range(5)])
    run = stream(tmp_path, kafka_broker, topic, schema_registry)
    assert check_format(run.config, Settings()).startswith("avro, schema registry with ")
    schema_registry.stop()
    try:
        with pytest.raises(SourceError, match="cannot reach the schema registry at http"):
            run.to_end()
        with pytest.raises(SourceError, match="cannot reach the schema registry"):
            check_format(run.config, Settings())
        assert (recorded(run), dead(run)) == (0, [])
    finally:
        schema_registry.start()
    for n in range(1, number):  # it has forgotten everything, and counts from 1 again
        schema_registry.register(f"other-{n}", event({"name": f"x{n}", "type": "int"}))
    assert schema_registry.register("waiting-value", event()) == number
    run.to_end()
    run.worker.close()
    assert (recorded(run), dead(run)) == (5, [])
    run.database.close()


class Refusing(BaseHTTPRequestHandler):
    """A registry that wants another password; keeps what it was sent."""

    sent: ClassVar[list[str | None]] = []

    def do_GET(self) -> None:
        """Refuse."""
        self.sent.append(self.headers["Authorization"])
        self.send_response(401)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""


def test_the_password_goes_to_the_registry_and_into_no_message() -> None:
    server = HTTPServer(("127.0.0.1", 0), Refusing)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_port}"
        config = SchemaRegistry(url=url, username="tide")
        with pytest.raises(SourceError, match="401") as refused:
            Registry(config, "s3cret", Path()).check()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    expected = base64.b64encode(b"tide:s3cret").decode()
    assert Refusing.sent == [f"Basic {expected}"]
    assert "s3cret" not in f"{refused.value} {config!r}"


class Endless(BaseHTTPRequestHandler):
    """A registry that never stops answering."""

    def do_GET(self) -> None:
        """Answer until the client has enough."""
        self.send_response(200)
        self.end_headers()
        with contextlib.suppress(OSError):
            while True:
                self.wfile.write(b" " * 65_536)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""


def test_an_answer_without_end_is_not_read_to_its_end() -> None:
    server = HTTPServer(("127.0.0.1", 0), Endless)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        config = SchemaRegistry(url=f"http://127.0.0.1:{server.server_port}")
        with pytest.raises(SourceError, match="response is larger than 16 MB"):
            Registry(config, None, Path()).schema(1)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
