"""INSERT … ON CONFLICT, which SQLite and PostgreSQL spell alike but SQLAlchemy does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite


def _insert(connection: sa.Connection, table: sa.Table) -> Any:
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    return dialect.insert(table)


def replace(connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows; where the primary key exists, replace all other columns."""
    if not rows:
        return
    statement = _insert(connection, table)
    changed = {c.name: statement.excluded[c.name] for c in table.columns if not c.primary_key}
    keys = list(table.primary_key.columns)
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=changed), rows)


def add(
    connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]], column: str
) -> None:
    """Insert rows; where the primary key exists, add to *column*."""
    if not rows:
        return
    statement = _insert(connection, table)
    total = table.c[column] + statement.excluded[column]
    keys = list(table.primary_key.columns)
    connection.execute(
        statement.on_conflict_do_update(index_elements=keys, set_={column: total}), rows
    )


def keep(connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows; where any unique key exists, leave what is there."""
    if rows:
        connection.execute(_insert(connection, table).on_conflict_do_nothing(), rows)


def claim(
    connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]], column: str
) -> set[Any]:
    """Insert rows whose key does not exist yet; return *column* of those inserted.

    A key that another transaction is inserting is waited for. Rows must come in the order of
    their keys, or two callers may wait for each other.
    """
    if not rows:
        return set()
    statement = _insert(connection, table).on_conflict_do_nothing().returning(table.c[column])
    return set(connection.execute(statement, rows).scalars())
