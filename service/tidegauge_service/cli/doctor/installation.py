"""Checks of the installation: clock, database, receivers, codecs."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Sequence
from contextlib import closing
from typing import Final

from tidegauge_alerts.errors import DeliveryError
from tidegauge_alerts.transports.preflight import check_receiver
from tidegauge_service.cli.doctor.database import opened
from tidegauge_service.config.settings import Settings
from tidegauge_service.errors import SettingsError, SourceError, StoreError
from tidegauge_service.store.alerting import outbox
from tidegauge_service.store.alerting.outbox import Undelivered

EARLIEST_SANE_MS: Final = 1_577_836_800_000
"""2020-01-01: a clock before this was never set."""


def clock() -> str:
    """Return "OK"; an error if the clock was never set."""
    if time.time() * 1000 < EARLIEST_SANE_MS:
        msg = "the clock is wrong, so records would seem to come from the future: set it (NTP)"
        raise SettingsError(msg)
    return "OK"


def database(settings: Settings) -> str:
    """Return the revision; an error if it is not the needed one, or cannot be written to."""
    with closing(opened(settings)) as database:
        found, needed = database.version()
        if found is None and database.is_sqlite:
            return "new; the first run creates its tables"
        if found != needed:
            msg = f"revision {found}, needed {needed}: run `tidegauge db upgrade`"
            raise StoreError(msg)
        with database.write():
            return f"revision {found}, writable"


def receivers(settings: Settings) -> str:
    """Return how many receivers are defined; an error if one is defined wrongly."""
    return f"{len(settings.parsed_receivers())} defined"


def receiver(name: str, settings: Settings) -> str:
    """Return where a receiver is; an error if messages cannot reach it, or recently did not."""
    found = settings.parsed_receivers().get(name)
    if found is None:
        msg = f"receiver '{name}' is not defined"
        raise SettingsError(msg)
    where = check_receiver(found)
    with closing(opened(settings)) as database:
        current, needed = database.version()
        if current != needed:  # older, or none: the check of the database says so
            return where
        with database.read() as connection:
            lost = outbox.undelivered(connection, name)
    if lost is None:
        return where
    raise DeliveryError(f"{_undelivered(lost)}. Latest error: {lost.error}")


def _undelivered(lost: Undelivered) -> str:
    """Return what happens to the messages that could not be delivered."""
    failed = (
        f"{lost.failed} failed for good and will not be sent again"
        if lost.failed
        else "none failed"
    )
    waiting = f"{lost.waiting} will be retried" if lost.waiting else "none is waiting"
    return (
        f"messages since the last successful delivery: {failed}, {waiting}. This check passes "
        "again after the next successful delivery"
    )


def codecs() -> str:
    """Return the codecs for compressed Kafka records; an error if one is not installed."""
    wanted: Sequence[str] = ("crc32c", "lz4", "snappy", "zstandard")
    missing = [name for name in wanted if importlib.util.find_spec(name) is None]
    if missing:
        msg = f"missing {', '.join(missing)}: pip install 'kafka-python[crc32c,lz4,snappy,zstd]'"
        raise SourceError(msg)
    return ", ".join(wanted)
