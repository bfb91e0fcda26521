"""A backup is one moment of the database, under load too; from it a stream goes on exactly."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.service import oracle
from tests.service.group import Group
from tidegauge_service.cli.main import app
from tidegauge_service.errors import SettingsError, StoreError
from tidegauge_service.store import backup as copies
from tidegauge_service.store import streams
from tidegauge_service.store.engine import Database

PASSWORD = "correct-horse"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A database with a stream in it."""
    database = at(tmp_path / "live.db")
    database.upgrade()
    yield database
    database.close()


def at(path: Path) -> Database:
    return Database(f"sqlite:///{path}")


def names(path: Path) -> list[str]:
    """Return the streams in a database."""
    database = at(path)
    try:
        with database.read() as connection:
            return streams.names(streams.select_streams(connection))
    finally:
        database.close()


def test_a_backup_under_load_goes_on_to_the_counts_of_the_oracle(
    database: Database, tmp_path: Path
) -> None:
    topic = oracle.topic(2, 300, dead_every=50)
    limits = {"commit_records": 5, "dead_letter_share": 1.0}
    group = Group(tmp_path, database, topic, limits=limits)
    positions, copied = list[int](), list[Path]()
    began = threading.Event()

    def count() -> None:
        member = group.member()
        while not member.worker.drained:
            member.worker.step(finite=True)
            began.set()

    counting = threading.Thread(target=count)
    counting.start()
    assert began.wait(30)
    while counting.is_alive() and len(copied) < 20:
        copied.append(tmp_path / f"copy{len(copied)}.db")
        copies.backup(database, copied[-1])
    counting.join()
    group.assert_exact()
    for path in (copied[0], copied[len(copied) // 2]):
        target = at(tmp_path / f"restored-{path.name}")
        copies.restore(target, path)
        with target.read() as connection:
            positions.append(sum(p.next_offset for p in streams.partitions(connection, 1)))
        group.database = target
        group.member().to_end()
        group.assert_exact()
        target.close()
    assert positions[0] < 600, "the first copy was made while it counted"


def test_a_plain_copy_under_load_has_not_what_a_backup_has(
    database: Database, tmp_path: Path
) -> None:
    """Why there is a command: what is in the write-ahead log is not in the file."""
    Group(tmp_path, database, oracle.topic(1, 10))
    shutil.copy(tmp_path / "live.db", tmp_path / "plain.db")
    copies.backup(database, tmp_path / "backup.db")
    assert names(tmp_path / "backup.db") == ["test"]
    with pytest.raises(StoreError, match="tidegauge db upgrade"):
        names(tmp_path / "plain.db")


def test_a_backup_is_one_file_with_the_mode_of_the_database(
    database: Database, tmp_path: Path
) -> None:
    (tmp_path / "live.db").chmod(0o640)
    assert copies.backup(database, tmp_path / "backup.db") == "0001"
    assert {p.name for p in tmp_path.iterdir() if "backup" in p.name} == {"backup.db"}
    assert stat.S_IMODE((tmp_path / "backup.db").stat().st_mode) == 0o640


def test_nothing_is_overwritten_unless_it_is_said(database: Database, tmp_path: Path) -> None:
    target = tmp_path / "backup.db"
    target.write_text("precious")
    with pytest.raises(SettingsError, match=r"exists: choose another file, or .* --force"):
        copies.backup(database, target)
    assert target.read_text() == "precious"
    copies.backup(database, target, force=True)
    with pytest.raises(SettingsError, match=r"live\.db exists: --force replaces it"):
        copies.restore(database, target)
    for same in (tmp_path / "live.db", tmp_path / "link.db"):
        if not same.exists():
            os.link(tmp_path / "live.db", same)
        with pytest.raises(SettingsError, match="backup: give two different files"):
            copies.backup(database, same, force=True)


@pytest.mark.parametrize("where", ["", "none/backup.db"])
def test_where_no_file_can_be_is_said(database: Database, tmp_path: Path, where: str) -> None:
    with pytest.raises((StoreError, SettingsError), match="folder"):
        copies.backup(database, tmp_path / where)


def test_a_folder_that_does_not_exist_is_no_full_disk(database: Database, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"the folder /.*/none does not exist: create it"):
        copies.backup(database, tmp_path / "none" / "backup.db")


def test_a_backup_that_fails_leaves_what_was_there(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "backup.db"
    copies.backup(database, target)
    before = target.read_bytes()

    def fails(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(StoreError, match=r"No space left on device.*Check the free disk space"):
        copies.backup(database, target, force=True)
    assert target.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir() if "part" in p.name] == []


def test_a_restore_takes_the_place_of_what_is_there(database: Database, tmp_path: Path) -> None:
    backup = tmp_path / "backup.db"
    copies.backup(database, backup)
    Group(tmp_path, database, oracle.topic(1, 10))
    database.close()
    assert names(tmp_path / "live.db") == ["test"]
    copies.restore(database, backup, force=True)
    assert names(tmp_path / "live.db") == []


def test_a_restore_is_refused_while_a_process_has_the_database_open(
    database: Database, tmp_path: Path
) -> None:
    backup = tmp_path / "backup.db"
    copies.backup(database, backup)
    with database.read() as connection:  # then the connection goes back to the pool, and stays
        streams.names(streams.select_streams(connection))
    other = at(tmp_path / "live.db")
    with pytest.raises(
        StoreError, match=r"live.db is in use by another process: stop `tidegauge run`"
    ):
        copies.restore(other, backup, force=True)
    assert database.version() == ("0001", "0001")


@pytest.mark.parametrize("content", [b"", b"no database" * 1_000])
def test_what_is_damaged_is_replaced_with_its_log(
    database: Database, tmp_path: Path, content: bytes
) -> None:
    Group(tmp_path, database, oracle.topic(1, 10))
    backup, broken = tmp_path / "backup.db", tmp_path / "broken.db"
    copies.backup(database, backup)
    broken.write_bytes(content)
    (tmp_path / "broken.db-wal").write_bytes(b"of the old file")
    copies.restore(at(broken), backup, force=True)
    assert names(broken) == ["test"]


def test_only_a_whole_database_of_ours_is_restored(database: Database, tmp_path: Path) -> None:
    target = at(tmp_path / "new.db")
    good, bad = tmp_path / "good.db", tmp_path / "bad.db"
    copies.backup(database, good)
    with pytest.raises(SettingsError, match="there is no backup"):
        copies.restore(target, tmp_path / "nowhere.db")
    bad.write_text("id,text\n" * 1_000)
    with pytest.raises(StoreError, match=r"bad\.db is not a database: give a file written by"):
        copies.restore(target, bad)
    bad.unlink()
    sqlite3.connect(bad).close()
    bad.touch()
    with pytest.raises(StoreError, match="no tidegauge tables"):
        copies.restore(target, bad)
    content = bytearray(good.read_bytes())
    content[len(content) // 2 :] = bytes(len(content) - len(content) // 2)
    bad.write_bytes(content)
    with pytest.raises(StoreError, match=r"damaged|malformed|cannot write or read"):
        copies.restore(target, bad)
    with closing(sqlite3.connect(good)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    with pytest.raises(StoreError, match="created by a newer tidegauge"):
        copies.restore(target, good)
    assert not (tmp_path / "new.db").exists()


def test_postgresql_has_a_tool_of_its_own(tmp_path: Path) -> None:
    address = f"postgresql://user:{PASSWORD}@host:5433/tide?sslmode=require&sslpassword={PASSWORD}"
    database = Database(address)
    for said in (failure(copies.backup, database), failure(copies.restore, database)):
        assert "postgresql://user@host:5433/tide?sslmode=require" in said
        assert PASSWORD not in said
    assert "pg_dump --format=custom '--file=x y.dump' " in failure(copies.backup, database)
    assert "pg_restore --clean --if-exists --single-transaction" in said
    assert not list(tmp_path.iterdir())


def failure(command: object, database: Database) -> str:
    assert callable(command)
    with pytest.raises(SettingsError) as caught:
        command(database, Path("x y.dump"))
    return str(caught.value)


def test_a_database_in_memory_has_no_file() -> None:
    with pytest.raises(SettingsError, match="in memory"):
        copies.backup(Database("sqlite://"), Path("x.db"))


def test_there_is_nothing_to_back_up_where_no_database_is(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no database at"):
        copies.backup(at(tmp_path / "none.db"), tmp_path / "backup.db")
    assert list(tmp_path.iterdir()) == []


def test_the_commands(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Group(tmp_path, database, oracle.topic(1, 10))
    monkeypatch.setenv("TIDEGAUGE_DATABASE", str(database.url))
    backup = tmp_path / "backup.db"
    done = CliRunner().invoke(app, ["db", "backup", str(backup)])
    assert done.exit_code == 0
    assert f"{backup}: {backup.stat().st_size:,} bytes, revision 0001" in done.output
    monkeypatch.setenv("TIDEGAUGE_DATABASE", f"sqlite:///{tmp_path}/new.db")
    done = CliRunner().invoke(app, ["db", "restore", str(backup)])
    assert done.exit_code == 0
    assert "new.db: restored, revision 0001" in done.output
    assert names(tmp_path / "new.db") == ["test"]
    again = CliRunner().invoke(app, ["db", "restore", str(backup)])
    assert isinstance(again.exception, SettingsError)
