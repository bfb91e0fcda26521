"""Settings of the process: ``tidegauge.yaml`` and ``TIDEGAUGE_*`` variables."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from tidegauge_alerts.receivers import Receiver
from tidegauge_alerts.transports.kinds import parse_receivers, receiver_schema, typed_keys
from tidegauge_probes.documents.core_schema import resolve
from tidegauge_probes.documents.explanation import SECRET, explain
from tidegauge_probes.documents.reader import FromVariable, read_json
from tidegauge_probes.documents.spec import Spec
from tidegauge_probes.errors import DocumentError, nearest
from tidegauge_probes.lifting.lifting import CHECKED
from tidegauge_service.config import variables
from tidegauge_service.config.time_fields import Duration, with_written_defaults
from tidegauge_service.config.tokens import check_token
from tidegauge_service.errors import SettingsError

MEBIBYTE = 2**20


class RetentionLimit(Spec):
    """How many rows of one kind are kept per stream."""

    keep: Duration = Field(description="Older rows are deleted.")
    rows: int = Field(ge=1, description="Maximum rows; the oldest are deleted.")
    bytes: int | None = Field(
        default=None, ge=1, description="Maximum bytes of content; the oldest are deleted."
    )


def _kept(keep: str, *, rows: int, mebibytes: int | None = None) -> RetentionLimit:
    size = None if mebibytes is None else mebibytes * MEBIBYTE
    return RetentionLimit.model_validate({"keep": keep, "rows": rows, "bytes": size})


class Retention(Spec):
    """What the database keeps, by age and size."""

    every: Duration = Field(default=300_000, description="How often rows are pruned.")
    panes: RetentionLimit = _kept("35d", rows=200_000, mebibytes=1024)
    samples: RetentionLimit = _kept("35d", rows=200_000, mebibytes=512)
    windows: RetentionLimit = _kept("400d", rows=5_000_000)
    dead_letters: RetentionLimit = _kept("30d", rows=100_000, mebibytes=256)
    events: RetentionLimit = _kept("1h", rows=1_000_000, mebibytes=256)
    idempotency_keys: RetentionLimit = _kept("1d", rows=5_000_000)
    notifications: RetentionLimit = _kept("30d", rows=100_000, mebibytes=256)
    candidates: RetentionLimit = _kept("365d", rows=1_000_000, mebibytes=1024)

    @model_validator(mode="before")
    @classmethod
    def _what_is_not_said_is_as_before(cls, data: Any) -> Any:
        """`panes: {keep: 7d}` changes the age only."""
        if not isinstance(data, dict):
            return data
        known = {
            k: f.default
            for k, f in cls.model_fields.items()
            if isinstance(f.default, RetentionLimit)
        }
        return {
            key: known[key].model_dump(mode="json") | value
            if key in known and isinstance(value, dict)
            else value
            for key, value in data.items()
        }


class LiftingSettings(Spec):
    """Run Python LFs as templates where their source allows it."""

    enabled: bool = Field(
        default=True, description="Set to false to run every Python LF as written."
    )
    checked: float = Field(
        default=CHECKED,
        ge=0,
        le=1,
        description="Share of batches on which both versions are compared.",
    )


class Settings(BaseSettings):
    """The settings of one process, apart from its streams."""

    model_config = SettingsConfigDict(
        env_prefix="TIDEGAUGE_",
        extra="forbid",
        frozen=True,
        validate_default=False,
        hide_input_in_errors=True,
    )

    database: SecretStr = Field(
        default=SecretStr("sqlite:///tidegauge.db"),
        description="SQLAlchemy URL of SQLite or PostgreSQL (postgresql+psycopg://…).",
    )
    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(
        default=8080, ge=0, le=65535, description="Port to listen on; 0 picks a free one."
    )
    token: SecretStr | None = Field(
        default=None, description="Bearer token of the API, page and metrics; generated if missing."
    )
    url: str | None = Field(default=None, description="Public address, for links in messages.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    kafka_password: SecretStr | None = Field(default=None, description="SASL password of Kafka.")
    schema_registry_password: SecretStr | None = Field(
        default=None, description="Password for the schema registry."
    )
    retention: Retention = Field(
        default=Retention(), description="What the database keeps (docs/retention.md)."
    )
    lifting: LiftingSettings = Field(
        default=LiftingSettings(), description="Compiled Python LFs (docs/probes.md)."
    )
    grace: Duration = Field(
        default=8_000, description="Time allowed for a stop; workers that need longer are killed."
    )
    receivers: dict[str, dict[str, Any]] = Field(
        default={},
        description="Name → where its messages go (docs/receivers.md).",
        json_schema_extra={**SECRET, "additionalProperties": receiver_schema()},
    )

    @field_validator("token")
    @classmethod
    def _token_can_be_sent(cls, token: SecretStr | None) -> SecretStr | None:
        if token is not None:
            check_token(token.get_secret_value())
        return token

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003  (pydantic's protocol)
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read variables as strictly as files."""
        return init_settings, _Variables(settings_cls)

    def parsed_receivers(self) -> dict[str, Receiver]:
        """Return the receivers as values; ReceiverError where one is wrong."""
        return parse_receivers({name: _typed(given) for name, given in self.receivers.items()})


def _typed(given: Any) -> Any:
    """Return a receiver, its values of variables read as numbers and booleans where that is due."""
    if not isinstance(given, dict):
        return given
    typed = typed_keys(given.get("kind"))
    return {
        key: resolve(value) if key in typed and isinstance(value, FromVariable) else value
        for key, value in given.items()
    }


class _Variables(EnvSettingsSource):
    """``TIDEGAUGE_*``: a mapping is written as JSON, and no key of it twice."""

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:  # noqa: ARG002  (pydantic's)
        return read_json(value, f"TIDEGAUGE_{field_name.upper()}")


def load_settings(path: Path | None = None, **overrides: Any) -> Settings:
    """Read ``tidegauge.yaml`` (if there is one) and the environment; the environment wins.

    *overrides* are command-line options; ``None`` means not given. SettingsError names the key.
    """
    _refuse_unknown_variables()
    data = _read(path) if path else (_read(Path("tidegauge.yaml")) if _default_exists() else {})
    given = {key: value for key, value in overrides.items() if value is not None}
    try:
        return Settings(**{**data, **_Variables(Settings)(), **given})
    except DocumentError as error:
        raise SettingsError(str(error)) from error
    except ValidationError as error:
        msg = f"invalid settings:\n{explain(error, Settings)}"
        raise SettingsError(msg) from error


def schema() -> dict[str, Any]:
    """Return the JSON Schema of the settings."""
    document: dict[str, Any] = with_written_defaults(Settings.model_json_schema())
    return document


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
    data = variables.read(path)
    if data is None:
        return {}
    if not isinstance(data, dict):
        msg = f"{path} must be a mapping of settings"
        raise SettingsError(msg)
    return data
