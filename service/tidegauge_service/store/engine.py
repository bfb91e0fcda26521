"""Open the database, begin its transactions, and turn its errors into advice."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Final

import alembic.command
import alembic.config
import alembic.migration
import alembic.script
import sqlalchemy as sa
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    DBAPIError,
    IntegrityError,
    NoSuchModuleError,
    OperationalError,
    StatementError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout

from tidegauge_service.errors import DataRefused, SettingsError, StoreError
from tidegauge_service.store import compatibility

Connection = sa.Connection
"""An open transaction, which the functions of the store work in."""

BUSY_TIMEOUT_MS = 30_000

SNAPSHOT: Final[Mapping[str, Any]] = {
    "isolation_level": "REPEATABLE READ",
    "postgresql_readonly": True,
}
"""The isolation level at which PostgreSQL shows several statements the same snapshot."""

JOURNAL_BYTES = 64 * 2**20
"""SQLite's write-ahead log is truncated to this size after a checkpoint."""

VACUUM_PAGES = 1_000
"""Free pages that one transaction returns to the file system: writers wait for it."""

PATIENCE = {"connect_timeout": 10, "tcp_user_timeout": 30_000}
"""Connection timeout in seconds, and the time in ms after which an unresponsive PostgreSQL is given
up. Without these, a cut cable goes unnoticed for fifteen minutes. The URL can override them."""

_SHORT = 3
"""A password this short is part of many words."""
POOL_PATIENCE_S = 10
"""How long to wait for a connection when all are in use."""

UPGRADE_LOCK = 7_453_384
"""Key of PostgreSQL's advisory lock: replicas that start together upgrade one at a time."""


class Database:
    """An SQLite or PostgreSQL database."""

    def __init__(self, url: str) -> None:
        self.url = _parse(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        # Values of a statement are people's records: they stay out of errors and tracebacks.
        options: dict[str, Any] = {"pool_pre_ping": not self.is_sqlite, "hide_parameters": True}
        if self.url.database not in {None, "", ":memory:"}:  # which have another kind of pool
            options["pool_timeout"] = POOL_PATIENCE_S
        if self.is_sqlite:
            options["connect_args"] = {"timeout": BUSY_TIMEOUT_MS / 1000}
        else:
            given = self.url.query
            options["connect_args"] = {k: v for k, v in PATIENCE.items() if k not in given}
        self.engine = sa.create_engine(self.url, **options)
        if self.is_sqlite:
            sa.event.listen(self.engine, "connect", _prepare_sqlite)
            sa.event.listen(self.engine, "begin", _begin_sqlite)

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """One transaction that will write; rolled back on any error.

        SQLite takes its write lock at once (BEGIN IMMEDIATE): a transaction that first reads
        and then finds the lock taken could only fail. Nothing slow belongs in here, no LF, no
        request, no large file: on SQLite all other writers wait.
        """
        with _advice(self.url), self.engine.connect() as opened:
            connection = opened.execution_options(writes=True)
            with connection.begin():
                yield connection

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """One transaction that only reads, and shows one moment; it takes no lock.

        What others commit meanwhile is not seen. SQLite's transactions are such snapshots anyway;
        PostgreSQL takes a new snapshot for each statement unless it is told not to. Keep it
        short: an old snapshot keeps SQLite's write-ahead log, and PostgreSQL's dead rows.
        """
        with _advice(self.url), self.engine.connect() as opened:
            connection = opened if self.is_sqlite else opened.execution_options(**SNAPSHOT)
            with connection.begin():
                yield connection

    def give_back(self, stopping: Callable[[], bool] = lambda: False) -> None:
        """Give the room of removed rows back to the file system, a little at a time.

        SQLite only: PostgreSQL's autovacuum does it by itself.
        """
        while self.is_sqlite and not stopping():
            with self.write() as connection:
                free = int(connection.exec_driver_sql("PRAGMA freelist_count").scalar_one())
                if not free:
                    return
                # The driver's own cursor: the pragma frees a page with each row it is asked for.
                driver = connection.connection.cursor()
                driver.execute(f"PRAGMA incremental_vacuum({VACUUM_PAGES})")
                driver.fetchall()
                driver.close()
                left = int(connection.exec_driver_sql("PRAGMA freelist_count").scalar_one())
            if left >= free:
                return  # a file that was made before auto_vacuum was set

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    def upgrade(self) -> None:
        """Bring the tables to this version's shape; StoreError if they are not ours, or newer."""
        with self.write() as connection:
            if not self.is_sqlite:  # whose write transactions exclude each other anyway
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(UPGRADE_LOCK)))
            compatibility.check_upgradable(self._found(connection), _revisions())
            config = _alembic()
            config.attributes["connection"] = connection
            alembic.command.upgrade(config, "head")

    def version(self) -> tuple[str | None, str]:
        """Return the revision of the tables (None: there are none) and the one needed.

        StoreError if the database is another application's, or was made by a newer version.
        """
        with self.read() as connection:
            return self._found(connection).revision, _revisions()[-1]

    def _found(self, connection: sa.Connection) -> compatibility.Found:
        """Return what is in the database; StoreError unless it is ours, or may become so."""
        context = alembic.migration.MigrationContext.configure(connection)
        tables = frozenset(sa.inspect(connection).get_table_names())
        found = compatibility.Found(context.get_current_heads(), tables)
        compatibility.check(found, _revisions(), alone=self.is_sqlite)
        return found

    def require_current(self) -> None:
        """StoreError unless the tables have this version's shape."""
        found, needed = self.version()
        if found != needed:
            msg = f"the database has revision {found}, not {needed}: run `tidegauge db upgrade`"
            raise StoreError(msg)


def _parse(url: str) -> URL:
    _refuse_second_at(url)
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        msg = "the `database` setting is not a URL: write it like sqlite:///tidegauge.db"
        raise SettingsError(msg) from None  # its text may quote a part of the password
    if parsed.drivername in {"postgres", "postgresql"}:
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() not in {"sqlite", "postgresql"}:
        msg = (
            f"the database is {parsed.get_backend_name()}: tidegauge supports only "
            "sqlite and postgresql"
        )
        raise SettingsError(msg)
    try:
        parsed.get_dialect()
    except NoSuchModuleError as error:
        msg = f"there is no driver {parsed.drivername}: write postgresql+psycopg://… or sqlite:///…"
        raise SettingsError(msg) from error
    return parsed


def _refuse_second_at(url: str) -> None:
    """SettingsError for a second @: what follows the first is taken for the host, and shown.

    ``postgresql://me:pa@ss@db/x`` has the password ``pa`` and the host ``ss@db``.
    """
    if url.count("@") > 1 and not url.startswith("sqlite"):
        msg = (
            "the `database` setting has more than one @. Except for the one before the "
            "host, write %40 for @, %2F for / and %3A for :, e.g. "
            "postgresql://me:pa%40ss@db/tidegauge"
        )
        raise SettingsError(msg)


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    # The driver must not begin transactions by itself: _begin_sqlite does.
    connection.isolation_level = None
    # NORMAL: a power cut may undo the last commits, whole; their records are then read again.
    pragmas = [
        "journal_mode=WAL",
        f"journal_size_limit={JOURNAL_BYTES}",
        "synchronous=NORMAL",
        "foreign_keys=ON",
    ]
    if not connection.execute("PRAGMA page_count").fetchone()[0]:
        # For the file's whole life, and before anything is in it; later it would need the lock.
        pragmas.insert(0, "auto_vacuum=INCREMENTAL")
    for pragma in pragmas:
        try:
            connection.execute(f"PRAGMA {pragma}")
        except sqlite3.OperationalError as error:
            # A read-only database can be read in the journal mode it has.
            if "readonly" not in str(error):
                raise


def _begin_sqlite(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def _advice(url: URL) -> Iterator[None]:
    """Say what to check when the database cannot be used; no password is ever shown."""
    try:
        yield
    except PoolTimeout as error:
        msg = (
            f"all connections to the database have been in use for {POOL_PATIENCE_S} s: "
            "the database is slow or overloaded. What to do: try again; look for long "
            "transactions"
        )
        raise StoreError(msg) from error
    except OperationalError as error:
        raise StoreError(_explain(str(error.orig), url)) from error
    except DBAPIError as error:
        if error.connection_invalidated or _unusable(error.orig):
            raise StoreError(_explain(str(error.orig), url)) from error
        if isinstance(error, DataError | IntegrityError):
            raise DataRefused(_refusal(error.orig)) from error
        raise
    except StatementError as error:  # raised by the driver, before anything was sent
        if isinstance(error.orig, OverflowError | UnicodeError):
            raise DataRefused(_refusal(error.orig)) from error
        raise


def _refusal(cause: BaseException | None) -> str:
    return f"the database rejected a value: {str(cause).strip()}"


def _unusable(cause: BaseException | None) -> bool:
    """Whether it is no database (SQLite's plain DatabaseError), or one without our tables."""
    undefined_table = getattr(cause, "sqlstate", None) == "42P01"
    return undefined_table or type(cause) is sqlite3.DatabaseError


def _explain(problem: str, url: URL) -> str:
    secrets = [name for name in url.query if "pass" in name]
    where = url.difference_update_query(secrets).render_as_string(hide_password=True)
    hints = {
        "readonly": (
            "it is read-only: check the file's owner and mode, or set "
            "TIDEGAUGE_DATABASE to another file"
        ),
        "unable to open": "its folder does not exist or is not writable: check the path",
        "password authentication": "check the user and password in TIDEGAUGE_DATABASE",
        "deadlock": "nothing: tidegauge tries again",
        'relation "': "run `tidegauge db upgrade`",
        "does not exist": "create the database or role first",
        "refused": "check that the server is running at that host and port",
        "locked": "another process has locked it for a long time: is a backup running?",
        "full": "the disk is full: free some space. No data is lost",
        "not a database": "set TIDEGAUGE_DATABASE to another file",
        "malformed": "the file is damaged: restore a backup",
        "no such table": "run `tidegauge db upgrade`",
    }
    if url.password and len(url.password) > _SHORT:  # drivers repeat what they cannot read
        problem = problem.replace(url.password, "***")
    if url.get_backend_name() == "sqlite" and url.database and Path(url.database).is_dir():
        problem, hints = "it is a folder", {"folder": "set TIDEGAUGE_DATABASE to a file in it"}
    hint = next((text for mark, text in hints.items() if mark in problem), "see the cause above")
    said = problem.strip()
    end = "" if said.endswith((".", "?", "!")) else "."
    return f"cannot use the database {where}: {said}{end} What to do: {hint}"


@cache
def _revisions() -> tuple[str, ...]:
    """Return our revisions, oldest first."""
    script = alembic.script.ScriptDirectory.from_config(_alembic())
    return tuple(sorted(revision.revision for revision in script.walk_revisions()))


def _alembic() -> alembic.config.Config:
    config = alembic.config.Config()
    folder = resources.files("tidegauge_service.store") / "migrations"
    config.set_main_option("script_location", str(folder))
    return config
