"""Consistent copies of an SQLite database, and the way back.

A plain copy of the file under load lacks what is still in the write-ahead log, which may be all of
the tables. SQLite's online backup copies one moment, while others read and write.
"""

from __future__ import annotations

import os
import shlex
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from sqlalchemy.engine import URL

from tidegauge_service.errors import SettingsError, StoreError
from tidegauge_service.store.engine import Database

_SIDE_FILES = ("-wal", "-shm", "-journal")

_MAGIC = b"SQLite format 3\0"
"""What every file of SQLite begins with."""


def backup(database: Database, target: Path, *, force: bool = False) -> str:
    """Copy the database to *target* as it is at one moment; return its revision.

    Nothing stands at *target* until the copy is complete and checked. StoreError, SettingsError.
    """
    if not database.is_sqlite:
        command = ["pg_dump", "--format=custom", f"--file={target}", _address(database)]
        raise SettingsError(_with_their_tool(command))
    source = _file_of(database)
    if not source.exists():
        msg = f"there is no database at {source}: check TIDEGAUGE_DATABASE"
        raise StoreError(msg)
    if not target.parent.is_dir():
        msg = f"the folder {target.parent} does not exist: create it, or give another path"
        raise SettingsError(msg)
    _refuse_existing(target, force=force, same_as=source)
    revision = _revision_of(database)
    with _advice(target), _unfinished(target) as copy:
        with closing(_connected(source, "ro")) as reader:
            _copy(reader, copy)
        copy.chmod(source.stat().st_mode & 0o777)
        copy.replace(target)
    return revision


def restore(database: Database, source: Path, *, force: bool = False) -> str:
    """Put a backup where the database is; return its revision.

    With *force* it takes the place of what is there, in one transaction: after a crash the old
    one is there whole, or the new one. StoreError if a process has it open.
    """
    if not database.is_sqlite:
        options = ("--clean", "--if-exists", "--single-transaction")
        command = ["pg_restore", *options, f"--dbname={_address(database)}", str(source)]
        raise SettingsError(_with_their_tool(command))
    target = _file_of(database)
    if not source.is_file():
        msg = f"there is no backup at {source}: check the path"
        raise SettingsError(msg)
    _refuse_other_files(source)
    advice = "--force replaces it with the backup. Keep a copy with `tidegauge db backup` first"
    _refuse_existing(target, force=force, same_as=source, advice=advice)
    checked = Database(f"sqlite:///file:{source.resolve()}?mode=ro&uri=true")
    try:
        revision = _revision_of(checked)
    finally:
        checked.close()
    with closing(_connected(source, "ro")) as reader:
        _check(reader, source)
        if not _written_over(reader, target):
            with _advice(target), _unfinished(target) as copy:
                _copy(reader, copy)
                for suffix in _SIDE_FILES:  # of the file that was there: not of this one
                    Path(f"{target}{suffix}").unlink(missing_ok=True)
                copy.replace(target)
    return revision


def _refuse_other_files(source: Path) -> None:
    """StoreError if a file is something else than a database of SQLite."""
    with _advice(source), source.open("rb") as file:
        head = file.read(len(_MAGIC))
    if head and head != _MAGIC:
        msg = f"{source} is not a database: give a file written by `tidegauge db backup`"
        raise StoreError(msg)


def _revision_of(database: Database) -> str:
    """Return the revision; StoreError if it is no database of ours that we can read."""
    revision, _needed = database.version()
    if revision is None:
        msg = f"{_file_of(database)} has no tidegauge tables: is it the right file?"
        raise StoreError(msg)
    return revision


def _written_over(reader: sqlite3.Connection, target: Path) -> bool:
    """Copy a backup into the database that is there; False if there is none that can be opened.

    Leaving WAL mode needs the file for oneself: SQLite refuses while anybody has it open.
    """
    if not target.exists():
        return False
    with closing(_connected(target, "rw")) as writer:
        try:
            writer.execute("PRAGMA busy_timeout=0")
            writer.execute("PRAGMA journal_mode=DELETE")
            writer.execute("BEGIN EXCLUSIVE").connection.rollback()
            reader.backup(writer)
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise StoreError(_cannot(target, error)) from error
            msg = (
                f"{target} is in use by another process: stop `tidegauge run` and "
                "anything else that uses it, then restore again"
            )
            raise StoreError(msg) from error
        except sqlite3.DatabaseError:  # damaged, or no database: a reason to restore one
            return False
    return True


def _copy(reader: sqlite3.Connection, copy: Path) -> None:
    """Write a copy that is whole in one file, and is on the disk."""
    with closing(_connected(copy, "rwc")) as writer:
        reader.backup(writer)  # in one step: others may write, and it does not begin anew
        writer.execute("PRAGMA journal_mode=DELETE")
        _check(writer, copy)
    with copy.open("rb") as file:
        os.fsync(file.fileno())


def _check(connection: sqlite3.Connection, path: Path) -> None:
    try:
        [found] = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        raise StoreError(_cannot(path, error)) from error
    if found != "ok":
        msg = f"{path} is damaged ({found}): use another backup"
        raise StoreError(msg)


def _connected(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode={mode}", uri=True, timeout=30)


@contextmanager
def _unfinished(target: Path) -> Iterator[Path]:
    """Give a temporary file next to *target*; it is always removed in the end."""
    path = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        yield path
    finally:
        for suffix in ("", *_SIDE_FILES):
            Path(f"{path}{suffix}").unlink(missing_ok=True)
        with suppress(OSError):  # so that the new name survives a power cut, where that is possible
            folder = os.open(target.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)


@contextmanager
def _advice(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise StoreError(_cannot(path, error)) from error


def _cannot(path: Path, error: Exception) -> str:
    return (
        f"cannot write or read {path}: {error}. Check the free disk space and the "
        "permissions of its folder"
    )


def _file_of(database: Database) -> Path:
    """Return the file of an SQLite database; SettingsError if it is in memory."""
    name = (database.url.database or "").removeprefix("file:")
    if name in ("", ":memory:"):
        msg = "the database is in memory: there is no file to back up"
        raise SettingsError(msg)
    return Path(name)


def _refuse_existing(
    target: Path,
    *,
    force: bool,
    same_as: Path,
    advice: str = "choose another file, or overwrite it with --force",
) -> None:
    if target.is_dir():
        msg = f"{target} is a folder: give the path of a file"
        raise SettingsError(msg)
    if not target.exists():
        return
    if target.samefile(same_as):
        msg = f"{target} is both the database and the backup: give two different files"
        raise SettingsError(msg)
    if not force:
        msg = f"{target} exists: {advice}"
        raise SettingsError(msg)


def _address(database: Database) -> str:
    """Return the address of a PostgreSQL database without its password."""
    url = database.url
    query = {name: value for name, value in url.query.items() if "password" not in name}
    shown = URL.create("postgresql", url.username, None, url.host, url.port, url.database, query)
    return shown.render_as_string(hide_password=False)


def _with_their_tool(command: list[str]) -> str:
    """Return what to type for PostgreSQL."""
    return (
        "the database is PostgreSQL: use its own backup tool. Run this with the "
        f"password in PGPASSWORD or ~/.pgpass:\n\n    {shlex.join(command)}\n"
    )
