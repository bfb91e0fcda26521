"""Settings of the process: ``tidegauge.yaml`` and ``TIDEGAUGE_*`` variables."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from tidegauge_alerts.receivers import Receiver, parse_receivers
from tidegauge_probes.errors import nearest
from tidegauge_probes.spec import explain
from tidegauge_service.errors import SettingsError
from tidegauge_service.stream_config import Duration


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
