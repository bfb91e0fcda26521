from __future__ import annotations

import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from tests.servers.ports import HOST, free_port
from tests.service.transactions import read, write
from tidegauge_service.errors import DataRefused, SettingsError, StoreError
from tidegauge_service.store import engine as engine_module
from tidegauge_service.store import schema, streams
from tidegauge_service.store.engine import Database

PASSWORD = "correct-horse"


def failure(database: Database, error: type[Exception] = StoreError) -> str:
    """Return what is said when the database is read."""
    with pytest.raises(error) as caught:
        read(database, streams.find, "test")
    database.close()
    return str(caught.value)


def test_upgrade_makes_the_tables_and_may_be_repeated(database_url: str) -> None:
    database = Database(database_url)
    assert database.version() == (None, "0001")
    for _ in range(2):
        database.upgrade()
        assert database.version() == ("0001", "0001")
        database.require_current()
    with database.read() as connection:
        tables = set(sa.inspect(connection).get_table_names())
    assert tables == {*schema.metadata.tables, "alembic_version"}
    database.close()


def test_migrations_make_what_the_code_expects(database: Database) -> None:
    with database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        assert compare_metadata(context, schema.metadata) == []


UPGRADE = """
import sys
from tidegauge_service.store.engine import Database
database = Database(sys.argv[1])
with database.read():
    pass
print("ready", flush=True)
sys.stdin.readline()
database.upgrade()
database.require_current()
"""


def test_processes_that_upgrade_at_once_all_succeed(database_url: str) -> None:
    """As replicas do that start together. Alembic's context is one per process: no threads."""
    started = [
        subprocess.Popen(
            [sys.executable, "-c", UPGRADE, database_url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for process in started:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    for process in started:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate(timeout=60)[1] for process in started]
    assert said == ["", "", ""]
    assert [process.returncode for process in started] == [0, 0, 0]


def test_an_upgrade_that_fails_leaves_nothing_behind(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(database_url)

    def broken(*_args: object) -> None:
        with database.write() as connection:
            connection.execute(sa.text("CREATE TABLE half (id INTEGER)"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken()
    assert database.version() == (None, "0001")
    with database.read() as connection:
        assert sa.inspect(connection).get_table_names() == []
    database.close()


def test_a_database_of_another_revision_says_to_upgrade(database: Database) -> None:
    with database.write() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '0000'"))
    try:
        with pytest.raises(
            StoreError, match=r"revision 0000, not 0001: run `tidegauge db upgrade`"
        ):
            database.require_current()
    finally:
        with database.write() as connection:
            connection.execute(sa.text("UPDATE alembic_version SET version_num = '0001'"))


def test_a_database_without_tables_says_to_upgrade(database_url: str) -> None:
    database = Database(database_url)
    with pytest.raises(StoreError, match="tidegauge db upgrade"):
        database.require_current()
    assert "tidegauge db upgrade" in failure(database)


def test_a_transaction_that_raises_leaves_nothing(database: Database) -> None:
    with pytest.raises(ZeroDivisionError), database.write() as connection:
        row = {"id": "x", "origin": "", "layout": "", "contents": "", "created_ms": 0}
        connection.execute(sa.insert(schema.probe_set), row)
        raise ZeroDivisionError
    with database.read() as connection:
        assert connection.execute(sa.select(schema.probe_set)).all() == []


def test_a_broken_rule_of_the_tables_is_not_taken_for_a_broken_database(
    database: Database,
) -> None:
    row = {"id": "x", "origin": "", "layout": "", "contents": "", "created_ms": 0}
    with (
        pytest.raises(DataRefused, match="the database rejected a value"),
        database.write() as connection,
    ):
        connection.execute(sa.insert(schema.probe_set), [row, row])


def test_a_read_only_file_can_be_read_and_says_what_to_do_when_written(tmp_path: Path) -> None:
    """As an address, not a file mode: modes do not bind root, who may be running the tests."""
    made = Database(f"sqlite:///{tmp_path}/t.db")
    made.upgrade()
    made.close()
    database = Database(f"sqlite:///file:{tmp_path}/t.db?mode=ro&uri=true")
    assert read(database, streams.find, "test") is None
    with pytest.raises(StoreError, match=r"read-only: check the file's owner and mode.*") as caught:
        write(database, streams.seed_partitions, 1, {0: 0}, 0)
    assert "t.db" in str(caught.value)
    database.close()


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    said = failure(Database(f"sqlite:///{tmp_path}/none/t.db"))
    assert f"{tmp_path}/none/t.db" in said
    assert "folder does not exist" in said


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "t.db").write_text("id,text\n" * 200)
    said = failure(Database(f"sqlite:///{tmp_path}/t.db"))
    assert "t.db" in said
    assert "is not a database" in said
    assert "to another file" in said


def test_a_writer_that_waits_too_long_says_who_may_hold_the_file(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "BUSY_TIMEOUT_MS", 1)
    other = Database(str(sqlite_database.url))
    with sqlite_database.write():
        assert read(other, streams.find, "test") is None, "readers do not wait"
        with pytest.raises(StoreError, match="another process has locked it"):
            write(other, streams.seed_partitions, 1, {0: 0}, 0)
    other.close()


def test_a_server_that_is_down_is_named_without_the_password() -> None:
    port = free_port()
    said = failure(Database(f"postgresql://user:{PASSWORD}@{HOST}:{port}/tidegauge"))
    assert f"{HOST}:{port}" in said
    assert "check that the server is running" in said
    assert PASSWORD not in said


def test_a_password_among_the_options_is_not_shown_either() -> None:
    port = free_port()
    address = f"postgresql://user@{HOST}:{port}/t?password={PASSWORD}&application_name=x"
    said = failure(Database(address))
    assert PASSWORD not in said
    assert "application_name=x" in said


def test_a_wrong_password_says_so_and_not_which() -> None:
    """A server that answers as PostgreSQL does; the tests' own trusts everybody."""
    with socket.create_server((HOST, 0)) as listener:
        thread = threading.Thread(target=_refuse, args=(listener,))
        thread.start()
        port = listener.getsockname()[1]
        address = f"postgresql://user:{PASSWORD}@{HOST}:{port}/t?sslmode=disable"
        said = failure(Database(address))
        thread.join()
    assert "check the user and password in TIDEGAUGE_DATABASE" in said
    assert PASSWORD not in said


def _refuse(listener: socket.socket) -> None:
    """Send PostgreSQL's ErrorResponse 28P01 to whoever connects first."""
    connection, _ = listener.accept()
    with connection:
        connection.recv(1024)
        fields = {
            "S": "FATAL",
            "V": "FATAL",
            "C": "28P01",
            "M": 'password authentication failed for user "user"',
        }
        body = b"".join(f"{k}{v}".encode() + b"\0" for k, v in fields.items()) + b"\0"
        connection.sendall(b"E" + (len(body) + 4).to_bytes(4, "big") + body)


@pytest.mark.postgres
def test_a_database_that_does_not_exist_says_to_create_it(migrated_postgres_url: str) -> None:
    said = failure(Database(migrated_postgres_url.rpartition("/")[0] + "/nowhere"))
    assert "create the database or role first" in said


@pytest.mark.parametrize(
    "address",
    [
        "tidegauge.db",
        "",
        f"postgresql://user:{PASSWORD}@host:port/t",
        f"mysql://user:{PASSWORD}@host/t",
        f"postgresql+nodriver://user:{PASSWORD}@host/t",
    ],
)
def test_what_is_no_address_says_how_to_write_one(address: str) -> None:
    with pytest.raises(SettingsError, match=r"sqlite") as caught:
        Database(address)
    assert PASSWORD not in str(caught.value)
    seen: BaseException | None = caught.value
    while seen is not None:
        assert PASSWORD not in str(seen), "nor where a traceback would show it"
        seen = seen.__cause__


@pytest.mark.parametrize("short", ["postgres", "postgresql"])
def test_the_short_names_of_postgresql_are_understood(short: str) -> None:
    database = Database(f"{short}://user@host/t")
    assert database.url.drivername == "postgresql+psycopg"
    assert not database.is_sqlite
