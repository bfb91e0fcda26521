"""A database that is not ours, or not of a version we know, is refused in words, and untouched."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from tidegauge_service.cli.main import app
from tidegauge_service.errors import StoreError
from tidegauge_service.store import schema
from tidegauge_service.store.compatibility import Found, check, check_upgradable
from tidegauge_service.store.engine import Database

OURS = frozenset({*schema.metadata.tables, "alembic_version"})
KNOWN = ("0001", "0002")

REFUSED: dict[str, tuple[Found, str]] = {
    "newer": (Found(["0003"], OURS), r"created by a newer tidegauge \(revision 0003; .*up to 0002"),
    "much newer": (Found(["0417"], OURS | {"later"}), "upgrade tidegauge"),
    "another's, by Alembic": (Found(["ae1027a6acf"], {"users"}), "belongs to another application"),
    "another's": (Found([], {"users", "orders"}), r"another application \(tables orders, users\)"),
    "copied by hand": (
        Found([], {"stream", "pane"}),
        r"tidegauge tables \(pane, stream\) but no rev",
    ),
    "half copied": (Found(["0002"], OURS - {"pane"}), r"tables are missing .*\(pane\)"),
    "half migrated": (Found(["0001", "0002"], OURS), r"partly migrated \(0001, 0002\)"),
    "of many tables": (Found([], {f"t{n}" for n in range(99)}), "and 94 more"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_database_that_cannot_be_used_says_why(name: str) -> None:
    found, says = REFUSED[name]
    with pytest.raises(StoreError, match=says):
        check(found, KNOWN, alone=True)


@pytest.mark.parametrize(
    "found",
    [
        Found([], set()),
        Found([], {"alembic_version"}),
        Found(["0001"], set()),
        Found(["0002"], OURS),
    ],
)
def test_an_empty_one_an_older_one_and_ours_are_taken(found: Found) -> None:
    check(found, KNOWN, alone=True)
    check_upgradable(found, KNOWN)


def test_a_schema_of_postgresql_may_be_shared() -> None:
    check(Found([], {"users"}), KNOWN, alone=False)
    check(Found(["0002"], OURS | {"spatial_ref_sys"}), KNOWN, alone=False)


def test_a_revision_that_no_migration_starts_from_cannot_be_upgraded() -> None:
    with pytest.raises(StoreError, match="revision 0000, which this tidegauge cannot upgrade"):
        check_upgradable(Found(["0000"], OURS), KNOWN)


def set_revision(database: Database, revision: str) -> None:
    with database.write() as connection:
        connection.execute(sa.text(f"UPDATE alembic_version SET version_num = '{revision}'"))


def test_a_newer_database_is_neither_upgraded_nor_opened(database: Database) -> None:
    """Alembic raised CommandError, which ended in a traceback."""
    set_revision(database, "0999")
    try:
        for use in (database.upgrade, database.require_current, database.version):
            with pytest.raises(StoreError, match="created by a newer tidegauge"):
                use()
    finally:
        set_revision(database, "0001")


COMMANDS = (["db", "upgrade"], ["db", "prune"], ["baseline", "list"], ["doctor"])


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_leave_a_database_that_is_not_ours_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    path = tmp_path / "theirs.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE users (id INTEGER)")
    monkeypatch.setenv("TIDEGAUGE_DATABASE", f"sqlite:///{path}")
    done = CliRunner().invoke(app, command)
    said = f"{done.output} {done.exception}"
    assert "belongs to another application (tables users)" in said
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("users",)]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: path.mkdir(), "it is a folder.*to a file in it"),
        (lambda path: path.write_text("id,text\n" * 999), "is not a database.*to another file"),
        (lambda path: path.write_bytes(b"SQLite format 3\0" + bytes(84)), "not a database|malfor"),
    ],
)
def test_what_is_no_database_is_refused_by_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: object, says: str
) -> None:
    assert callable(make)
    make(tmp_path / "x.db")
    monkeypatch.setenv("TIDEGAUGE_DATABASE", f"sqlite:///{tmp_path}/x.db")
    done = CliRunner().invoke(app, ["baseline", "list"])
    assert isinstance(done.exception, StoreError)
    with pytest.raises(StoreError, match=says):
        raise done.exception


def test_a_read_only_file_that_needs_an_upgrade_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sqlite3.connect(tmp_path / "x.db").close()
    (tmp_path / "x.db").touch()
    address = f"sqlite:///file:{tmp_path}/x.db?mode=ro&uri=true"
    monkeypatch.setenv("TIDEGAUGE_DATABASE", address)
    done = CliRunner().invoke(app, ["baseline", "list"])
    assert isinstance(done.exception, StoreError)
    assert "read-only" in str(done.exception)
