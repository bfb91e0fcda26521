"""Errors of the running service; each has an exit code and says what to do next.

::

    TidegaugeError (tidegauge_probes.errors)
    └── ServiceError
        ├── SettingsError     exit 2   a setting or stream file is wrong
        │   └── ChangeRefused          the deployments cannot be changed like that
        ├── SourceError       exit 3   the source cannot be read
        │   └── StreamHalted  exit 4   too many inputs cannot be read as records
        │       ├── TooManyDeadLetters     more than limits.dead_letter_share
        │       ├── NoRecord               none can be, or there is no input
        │       └── NoWorkingLf            every LF failed on every record
        ├── StoreError        exit 5   the database cannot be used
        │   └── DataRefused            it rejects what should be written
        ├── AddressUnusable   exit 6   the address to listen on is in use, or not ours
        └── WorkerFailed      the exit code of the worker
"""

from __future__ import annotations

from typing import Final

from tidegauge_probes.errors import TidegaugeError

DEFINITION_EXIT_CODE: Final = 2
"""Of an error that is not the service's: what was written (LFs, a baseline, a rule) is wrong."""


class ServiceError(TidegaugeError):
    """Base class of the service's errors."""

    exit_code: int = 1


class SettingsError(ServiceError):
    """A setting, stream file or command-line value is wrong."""

    exit_code = 2


class ChangeRefused(SettingsError):  # noqa: N818  (a decision, not a fault)
    """The deployments of a stream cannot be changed like that; nothing was changed."""


class SourceError(ServiceError):
    """The source cannot be reached or read."""

    exit_code = 3


class StreamHalted(SourceError):  # noqa: N818  (a decision, not a fault)
    """Too many inputs cannot be read as records: stopped, with everything kept."""

    exit_code = 4


class TooManyDeadLetters(StreamHalted):
    """A larger share of the inputs are dead letters than ``limits.dead_letter_share``.

    ``cause``: the message without the place where the dead letters are kept.
    """

    def __init__(self, cause: str, kept: str) -> None:
        super().__init__(f"{cause}. {kept}")
        self.cause = cause


class NoRecord(StreamHalted):
    """A run to the end of the source found no record at all."""


class NoWorkingLf(StreamHalted):
    """A replay in which every LF failed on every record: it could not have raised an alert."""


class StoreError(ServiceError):
    """The database cannot be reached, read or written."""

    exit_code = 5


class DataRefused(StoreError):  # noqa: N818  (the database's answer)
    """The database works, but rejects what should be written."""


class AddressUnusable(ServiceError):  # noqa: N818  (what it is)
    """The address to listen on is in use, or does not belong to this machine."""

    exit_code = 6


class WorkerFailed(ServiceError):  # noqa: N818  (what happened to it)
    """A worker process ended in a way that a restart would not fix."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Fenced(ServiceError):  # noqa: N818  (the term of the literature)
    """Another worker has moved the position on; what this one counted was dropped."""

    def __init__(self, partition: int, what: str = "was moved on by another worker") -> None:
        super().__init__(f"partition {partition} {what}")
        self.partition = partition


class Superseded(Fenced):
    """The deployments have changed: what was counted with the old ones was dropped."""

    def __init__(self, partition: int) -> None:
        super().__init__(partition, "was counted with deployments that have changed")


def exit_code_of(error: TidegaugeError) -> int:
    """Return the exit code of a process that the error ends."""
    return error.exit_code if isinstance(error, ServiceError) else DEFINITION_EXIT_CODE
