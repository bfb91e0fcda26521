"""Whether a database is one that this tidegauge can use, by its revision and its tables. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from tidegauge_service.errors import StoreError
from tidegauge_service.store import schema

VERSION_TABLE: Final = "alembic_version"
"""Alembic's table, which holds the revision. Other applications use Alembic, too."""

_OURS: Final = re.compile(r"\d{4}")
"""Our revisions are numbered. Those that Alembic generates are twelve hexadecimal digits."""

_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class Found:
    """What is in a database. *revisions*: none in an empty one; never more than one in ours."""

    revisions: Sequence[str]
    tables: AbstractSet[str]

    @property
    def revision(self) -> str | None:
        """The revision of the tables, if there are any."""
        return self.revisions[0] if self.revisions else None


def check(found: Found, known: Sequence[str], *, alone: bool) -> None:
    """StoreError unless the database is empty, or of this version or an older one.

    *known*: our revisions, oldest first. *alone*: other tables do not belong there (SQLite, where
    a database is a file; a schema of PostgreSQL may be shared).
    """
    if len(found.revisions) > 1:
        msg = (
            f"the database is only partly migrated ({', '.join(found.revisions)}): restore a backup"
        )
        raise StoreError(msg)
    if found.revision is None:
        _check_new(found, alone=alone)
    elif not _OURS.fullmatch(found.revision):
        msg = (
            "the database belongs to another application (its revision is "
            f"{found.revision:.40}): set TIDEGAUGE_DATABASE to another database"
        )
        raise StoreError(msg)
    elif found.revision > known[-1]:
        msg = (
            f"this database was created by a newer tidegauge (revision {found.revision}; "
            f"this version supports up to {known[-1]}): upgrade tidegauge, or restore a "
            "backup from before the upgrade"
        )
        raise StoreError(msg)
    elif found.revision == known[-1]:
        _check_whole(found)


def check_upgradable(found: Found, known: Sequence[str]) -> None:
    """StoreError if no migration leads from the revision to ours."""
    if found.revision is not None and found.revision not in known:
        msg = (
            f"the database has revision {found.revision}, which this tidegauge cannot "
            "upgrade: upgrade it with the previous version first"
        )
        raise StoreError(msg)


def _check_new(found: Found, *, alone: bool) -> None:
    ours = found.tables & schema.metadata.tables.keys()
    others = found.tables - schema.metadata.tables.keys() - {VERSION_TABLE}
    if others and alone:
        msg = (
            f"the database belongs to another application (tables {_listed(others)}): "
            "set TIDEGAUGE_DATABASE to another file"
        )
        raise StoreError(msg)
    if ours:
        msg = (
            f"the database has tidegauge tables ({_listed(ours)}) but no revision: it "
            "was copied or changed by hand. Restore a backup, or use another database"
        )
        raise StoreError(msg)


def _check_whole(found: Found) -> None:
    missing = schema.metadata.tables.keys() - found.tables
    if missing:
        msg = (
            f"tables are missing from the database ({_listed(missing)}): it was copied "
            "during a write, or changed by hand. Restore a backup"
        )
        raise StoreError(msg)


def _listed(tables: AbstractSet[str]) -> str:
    shown = sorted(tables)[:_SHOWN]
    more = len(tables) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
