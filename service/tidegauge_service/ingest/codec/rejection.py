"""Why an input is no record."""

from __future__ import annotations

from enum import StrEnum


class DeadLetterReason(StrEnum):
    """Why an input is a dead letter."""

    EMPTY = "empty"
    TOO_LARGE = "too_large"
    NUL_BYTE = "nul_byte"
    NOT_UTF8 = "not_utf8"
    NOT_JSON = "not_json"
    RAGGED_ROW = "ragged_row"
    NOT_CSV = "not_csv"
    NOT_MSGPACK = "not_msgpack"
    NOT_AVRO = "not_avro"
    UNKNOWN_SCHEMA = "unknown_schema"
    NOT_AN_OBJECT = "not_an_object"
    WRONG_TYPE = "wrong_type"
    MISSING_ID = "missing_id"
    MISSING_TIMESTAMP = "missing_timestamp"
    BAD_TIMESTAMP = "bad_timestamp"
    FUTURE_TIMESTAMP = "future_timestamp"
    DATABASE = "database"
    UNDECODABLE_BATCH = "undecodable_batch"


class Rejected(Exception):  # noqa: N818  (a verdict on the input, no fault of ours)
    """An input that is no record. Ends in the codec, which makes it a dead letter."""

    def __init__(self, reason: DeadLetterReason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
