"""Settings of the process: ``tidegauge.yaml`` and ``TIDEGAUGE_*`` variables."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from tidegauge_alerts.receivers import Receiver, parse_receivers
from tidegauge_probes.errors import nearest
from tidegauge_probes.spec import Spec, explain
from tidegauge_service.errors import SettingsError
from tidegauge_service.stream_config import Duration

DAY = 86_400_000
MEBIBYTE = 2**20


class Kept(Spec):
    """How much is kept of a kind of rows, of each stream."""

    keep: Duration = Field(description="Older rows go.")
    rows: int = Field(ge=1, description="Beyond so many, the oldest go.")
    bytes: int | None = Field(
        default=None, ge=1, description="Beyond so many bytes of content, the oldest go."
    )


class Retention(Spec):
    """What the database keeps, by age and size."""

    every: Duration = Field(default=300_000, description="How often it is seen to.")
    panes: Kept = Kept(keep=35 * DAY, rows=200_000, bytes=1024 * MEBIBYTE)
    samples: Kept = Kept(keep=35 * DAY, rows=200_000, bytes=512 * MEBIBYTE)
    windows: Kept = Kept(keep=400 * DAY, rows=5_000_000)
    dead_letters: Kept = Kept(keep=30 * DAY, rows=100_000, bytes=256 * MEBIBYTE)
    events: Kept = Kept(keep=DAY // 24, rows=1_000_000, bytes=256 * MEBIBYTE)
    idempotency_keys: Kept = Kept(keep=DAY, rows=5_000_000)
    notifications: Kept = Kept(keep=30 * DAY, rows=100_000, bytes=256 * MEBIBYTE)
    candidates: Kept = Kept(keep=365 * DAY, rows=1_000_000, bytes=1024 * MEBIBYTE)

    @model_validator(mode="before")
    @classmethod
    def _what_is_not_said_is_as_before(cls, data: Any) -> Any:
        """`panes: {keep: 7d}` changes the age only."""
        if not isinstance(data, dict):
            return data
        known = {k: f.default for k, f in cls.model_fields.items() if isinstance(f.default, Kept)}
        return {
            key: known[key].model_dump() | value
            if key in known and isinstance(value, dict)
            else value
            for key, value in data.items()
        }


class Settings(BaseSettings):
    """What one process needs to know beside its streams."""

    model_config = SettingsConfigDict(env_prefix="TIDEGAUGE_", extra="forbid", frozen=True)

    database: SecretStr = Field(
        default=SecretStr("sqlite:///tidegauge.db"),
        description="SQLAlchemy URL of SQLite or PostgreSQL (postgresql+psycopg://…).",
    )
    host: str = Field(default="127.0.0.1", description="Address that the API and page listen on.")
    port: int = Field(default=8080, ge=0, le=65535, description="0 takes a free port.")
    token: SecretStr | None = Field(
        default=None, description="Bearer token of API, page and metrics; made up if not given."
    )
    url: str | None = Field(default=None, description="Public address, for links in messages.")
    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")
    kafka_password: SecretStr | None = Field(default=None, description="SASL password of Kafka.")
    schema_registry_password: SecretStr | None = Field(
        default=None, description="Password at the schema registry."
    )
    retention: Retention = Field(
        default=Retention(), description="What the database keeps (docs/retention.md)."
    )
    grace: Duration = Field(
        default=8_000, description="How long a stop may take; workers that need more are ended."
    )
    receivers: dict[str, dict[str, Any]] = Field(
        default={}, description="Name → where its messages go (docs/alerts.md)."
    )

    def parsed_receivers(self) -> dict[str, Receiver]:
        """Return the receivers as values; ReceiverError where one is wrong."""
        return parse_receivers(self.receivers)


def load_settings(path: Path | None = None, **overrides: Any) -> Settings:
    """Read ``tidegauge.yaml`` (if there is one) and the environment; the environment wins.

    *overrides* are command-line options; ``None`` means not given. SettingsError names the key.
    """
    _refuse_unknown_variables()
    data = _read(path) if path else (_read(Path("tidegauge.yaml")) if _default_exists() else {})
    given = {key: value for key, value in overrides.items() if value is not None}
    try:
        from_environment = Settings().model_dump(exclude_unset=True)
        return Settings(**{**data, **from_environment, **given})
    except ValidationError as error:
        msg = f"settings are not valid:\n{explain(error, Settings)}"
        raise SettingsError(msg) from error


def _refuse_unknown_variables() -> None:
    """A misspelt variable would be ignored in silence; TIDEGAUGE_TEST_* belong to the tests."""
    known = {f"TIDEGAUGE_{name.upper()}" for name in Settings.model_fields}
    for name in os.environ:
        ours = name.startswith("TIDEGAUGE_") and not name.startswith("TIDEGAUGE_TEST_")
        if ours and name.upper() not in known | {"TIDEGAUGE_DATA"}:
            msg = f"unknown variable {name}{nearest(name, known)}"
            raise SettingsError(msg)


def _default_exists() -> bool:
    return Path("tidegauge.yaml").is_file()


def _read(path: Path) -> dict[str, Any]:
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except OSError as error:
        msg = f"cannot read {path}: {error.strerror or error}"
        raise SettingsError(msg) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        msg = f"{path} is not YAML: {error}"
        raise SettingsError(msg) from error
    if not isinstance(data, dict):
        msg = f"{path} must be a mapping of settings"
        raise SettingsError(msg)
    return data
