"""Databases for the service's tests: each test that asks for one runs on both kinds."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.servers.postgres import PostgresServer
from tidegauge_service.store import schema
from tidegauge_service.store.engine import Database

KINDS = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]


@pytest.fixture(params=KINDS)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Give the address of a new, empty database: SQLite, then PostgreSQL."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/empty.db"
    else:
        yield request.getfixturevalue("postgres_url")


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest) -> Database:
    """Give a new database with tidegauge's tables: SQLite, then PostgreSQL."""
    kind = "sqlite_database" if request.param == "sqlite" else "postgres_database"
    found: Database = request.getfixturevalue(kind)
    return found


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give an SQLite file with tidegauge's tables, to be copied."""
    path = tmp_path_factory.mktemp("template") / "template.db"
    _upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_database(sqlite_template: Path, tmp_path: Path) -> Iterator[Database]:
    """Give a new SQLite database with tidegauge's tables."""
    shutil.copy(sqlite_template, tmp_path / "tidegauge.db")
    opened = Database(f"sqlite:///{tmp_path}/tidegauge.db")
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def migrated_postgres_url(postgres_server: PostgresServer) -> str:
    """Give the address of the one PostgreSQL database with tables that tests take turns in."""
    url = postgres_server.create_database()
    _upgrade(url)
    return url


@pytest.fixture
def postgres_database(migrated_postgres_url: str) -> Iterator[Database]:
    """Give a PostgreSQL database with tidegauge's tables, emptied: ten times faster than new."""
    opened = Database(migrated_postgres_url)
    tables = ", ".join(f'"{name}"' for name in schema.metadata.tables)
    with opened.write() as connection:
        connection.execute(sa.text(f"TRUNCATE {tables} RESTART IDENTITY"))
    yield opened
    opened.close()


def _upgrade(url: str) -> None:
    template = Database(url)
    template.upgrade()
    template.close()
