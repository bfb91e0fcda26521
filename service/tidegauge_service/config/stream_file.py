"""``stream.yaml``: one monitored application. Unknown keys are refused with the nearest known."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, Field, ValidationError, model_validator

from tidegauge_alerts import rules, silences
from tidegauge_alerts.errors import RuleError
from tidegauge_alerts.rules import UserRule, parse_rule
from tidegauge_alerts.silences import MuteTime, parse_mute
from tidegauge_probes.documents.explanation import explain
from tidegauge_probes.documents.spec import Spec
from tidegauge_probes.drift import civil_time, false_alarms
from tidegauge_probes.drift.civil_time import CivilTime
from tidegauge_probes.drift.false_alarms import DAY_MS, FalseAlarms
from tidegauge_probes.errors import BudgetError, CivilTimeError
from tidegauge_service.clock import to_duration, to_iso, window_start
from tidegauge_service.config import variables
from tidegauge_service.config.sources import CsvDialect, SchemaRegistry, Source
from tidegauge_service.config.time_fields import Delay, Duration, Moment, with_written_defaults
from tidegauge_service.errors import SettingsError

_NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$"


def _name(given: str) -> str:
    if not re.fullmatch(_NAME.removesuffix("$"), given):
        msg = (
            f"'{given:.100}' must be 1 to 100 letters (a to z), digits, `_`, `.` or `-`, and begin "
            "with a letter or digit"
        )
        raise ValueError(msg)
    return given


def _zone(name: str) -> str:
    try:
        return civil_time.check_zone(name)
    except CivilTimeError as error:
        raise ValueError(str(error)) from error


def _calendar(given: str | tuple[str, ...]) -> str | tuple[str, ...]:
    try:
        return civil_time.check_calendar(given)
    except CivilTimeError as error:
        raise ValueError(str(error)) from error


def _rule(text: str) -> str:
    return _read(parse_rule, text)


def _false_alarms(text: str) -> str:
    try:
        return false_alarms.parse(text).text
    except BudgetError as error:
        raise ValueError(str(error)) from error


def _mute(text: str) -> str:
    return _read(parse_mute, text)


def _read(parse: Callable[[str], object], text: str) -> str:
    try:
        parse(text)
    except RuleError as error:
        raise ValueError(str(error)) from error
    return text.strip()


class RecordMapping(Spec):
    """Where to find the id, time and text in a payload. Paths can be dotted: `payload.body`."""

    format: Literal["json", "msgpack", "avro"] = Field(
        default="json", description="Encoding of Kafka records."
    )
    schema_registry: SchemaRegistry | None = None
    avro_schema: str | None = Field(
        default=None, description="Avro without a registry: the schema file (.avsc)."
    )
    id: str | None = Field(
        default="id", description="null uses the position in the source as the id."
    )
    timestamp: str = Field(
        default="timestamp", description="Event time; `@source` uses the broker's timestamp."
    )
    text: str | None = Field(default=None, description="Copied to the field `text`.")

    @model_validator(mode="after")
    def _schemas_fit(self) -> Self:
        given = [key for key in ("schema_registry", "avro_schema") if getattr(self, key)]
        if self.format == "avro" and len(given) != 1:
            msg = "record.format: avro needs either schema_registry or avro_schema"
            raise ValueError(msg)
        if self.format != "avro" and given:
            msg = f"record.{given[0]} is not used with record.format: {self.format}"
            raise ValueError(msg)
        return self


BALANCE = (
    "Share of all records that each class has, if you know it, e.g. {ham: 0.9, spam: 0.1}. Not "
    "given: what the votes tell of it, where they tell it."
)


class TimeStretch(Spec):
    """Windows from … until (exclusive)."""

    from_: Moment = Field(alias="from")
    until: Moment

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.from_ >= self.until:
            given = f"{to_iso(self.from_)} is not before {to_iso(self.until)}"
            msg = f"`from` must be before `until` ({given})"
            raise ValueError(msg)
        return self

    @property
    def span(self) -> tuple[int, int]:
        """The same in epoch ms."""
        return self.from_, self.until


class BaselineRange(TimeStretch):
    """Windows of the stream itself, from … until (exclusive)."""

    balance: dict[str, float] | None = Field(default=None, description=BALANCE)
    leave_out: list[TimeStretch] = Field(
        default=[], description="Stretches that are not normal, e.g. an outage: not learned from."
    )
    keep: list[TimeStretch] = Field(
        default=[],
        description="Stretches that are normal, though they look like an incident: learned from.",
    )


class BaselineName(Spec):
    """A baseline fitted with `tidegauge baseline fit --name`."""

    name: str


class BaselinePath(Spec):
    """Training records in a file; fitted at the first start."""

    path: str
    gold: str | None = Field(
        default=None,
        description="Field of the records with the true class, where it is known: about 200 "
        "records drawn from all traffic make class shares and precision figures that were counted.",
    )
    balance: dict[str, float] | None = Field(default=None, description=BALANCE)
    csv: CsvDialect | None = Field(
        default=None,
        description="How the file is written, where that differs from `source.csv`: CSV and TSV.",
    )


class AlertRules(Spec):
    """When to alert, and whom to notify."""

    false_alarms: Annotated[str, AfterValidator(_false_alarms)] | None = Field(
        default=None,
        description="False incidents you accept, e.g. `1 per quarter` (or day, week, month, year). "
        "Default: 1 per quarter; 1 per year if windows are a day or longer.",
    )
    receivers: list[str] = Field(default=[], description="Names from `tidegauge.yaml`.")
    for_windows: int = Field(default=1, ge=1, description="Shifted windows before an alert fires.")
    rules: list[Annotated[str, AfterValidator(_rule)]] = Field(
        default=[], description=f"Your own rules, e.g. `{rules.EXAMPLE}`."
    )
    mute: list[Annotated[str, AfterValidator(_mute)]] = Field(
        default=[], description=f"When no messages are sent, e.g. `{silences.EXAMPLE}`."
    )
    stale_after: Duration = Field(
        default=1_800_000,
        description="Notify when the watermark of a live stream has not moved for this long.",
    )

    @model_validator(mode="before")
    @classmethod
    def _budget_is_by_time(cls, given: Any) -> Any:
        if isinstance(given, dict) and "budget" in given:
            msg = (
                "`budget` was replaced by `false_alarms`, which counts incidents by time: write "
                "`false_alarms: 1 per quarter`, or leave it out (hourly windows: as budget 0.46)"
            )
            raise ValueError(msg)
        return given

    @model_validator(mode="after")
    def _somebody_is_told(self) -> Self:
        if silences.always_muted(self.mute_times):
            msg = "mute: covers the whole week, so no message would ever be sent"
            raise ValueError(msg)
        return self

    @property
    def user_rules(self) -> list[UserRule]:
        """The rules as they are meant, each once."""
        return [parse_rule(text) for text in dict.fromkeys(self.rules)]

    @property
    def mute_times(self) -> list[MuteTime]:
        """The times as they are meant."""
        return [parse_mute(text) for text in self.mute]


class SampleSizes(Spec):
    """How many records each window keeps, per bucket, until it is known whether it alerts."""

    each: int = Field(default=50, ge=0)
    blind_spot: int = Field(default=500, ge=0)
    keep_windows: int = Field(default=48, ge=1, description="Quiet windows whose samples are kept.")
    per_window: int = Field(
        default=150, ge=1, description="Maximum candidates per window of a firing alert."
    )


class Limits(Spec):
    """Limits on inputs, batches and commits."""

    max_record_bytes: int = Field(default=1_048_576, ge=1)
    batch_bytes: int = Field(
        default=64 * 2**20, ge=1, description="Maximum bytes of input per batch."
    )
    max_skew: Delay = Field(
        default=300_000, description="How far in the future a timestamp can be."
    )
    dead_letter_share: float = Field(
        default=0.05,
        gt=0,
        le=1,
        description="Stop when more than this share of 1,000 inputs are dead letters.",
    )
    dead_letter_bytes: int = Field(
        default=65_536,
        ge=0,
        description="Kept of each dead letter; truncated ones cannot be replayed.",
    )
    max_segments: int = Field(default=200, ge=1, description="Values counted per segment field.")
    commit_records: int = Field(default=10_000, ge=1)
    commit_interval: Duration = 1_000


class Watchdog(Spec):
    """When a worker counts as stuck and is killed."""

    batch: Duration = Field(
        default=60_000, description="Limit for one LF (or decoding, or counting) over one batch."
    )
    poll: Duration = Field(default=120_000, description="Limit for one poll of the source.")


class StreamConfig(Spec):
    """One monitored application: source, ProbeSet, baseline, windows, rules."""

    name: Annotated[str, AfterValidator(_name), Field(json_schema_extra={"pattern": _NAME})]
    source: Source
    record: RecordMapping = RecordMapping()
    probes: str = Field(description="A ProbeSet file, or module:attribute.")
    segment_by: tuple[str, ...] = ()
    copies: Literal["count", "ignore"] = Field(
        default="count",
        description="Whether to tell copies of a text, and to compare distinct texts.",
    )
    window: Duration = 3_600_000
    lateness: Delay = 300_000
    timezone: Annotated[str, AfterValidator(_zone)] = Field(
        default=civil_time.UTC,
        description="The clock that the traffic follows, e.g. `Europe/Berlin`.",
    )
    calendar: Annotated[str | tuple[str, ...], AfterValidator(_calendar)] = Field(
        default="",
        description="Holidays: a country (`DE`), a part of one (`DE-BY`), or a list of dates.",
    )
    baseline: BaselineRange | BaselineName | BaselinePath
    alerts: AlertRules = AlertRules()
    samples: SampleSizes = SampleSizes()
    limits: Limits = Limits()
    watchdog: Watchdog = Watchdog()
    folder: str = Field(
        default=".", exclude=True, description="Set by the loader: where paths start."
    )
    file: str = Field(
        default="stream.yaml", exclude=True, description="Set by the loader: where this was read."
    )

    @property
    def false_alarms(self) -> FalseAlarms:
        """The budget of false alarms; where none is written, the one for windows this long."""
        written = self.alerts.false_alarms
        return false_alarms.default(self.window) if written is None else false_alarms.parse(written)

    @property
    def civil(self) -> CivilTime:
        """The clock and the calendar of the traffic."""
        return CivilTime(self.timezone, self.calendar)

    @model_validator(mode="after")
    def _format_fits_source(self) -> Self:
        if self.record.format != "json" and self.source.kind != "kafka":
            msg = (
                f"record.format: {self.record.format} is for Kafka; a source of kind "
                f"'{self.source.kind}' sets its own format"
            )
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _baseline_fits_windows(self) -> Self:
        chosen = self.baseline
        if isinstance(chosen, BaselineRange):
            self._check_stretch("baseline", chosen)
            for name in ("leave_out", "keep"):
                for number, stretch in enumerate(getattr(chosen, name)):
                    self._check_stretch(f"baseline.{name}[{number}]", stretch)
        return self

    def _check_stretch(self, where: str, stretch: TimeStretch) -> None:
        for name, moment in (("from", stretch.from_), ("until", stretch.until)):
            start = window_start(moment, self.window)
            if start != moment:
                near = f"{to_iso(start)} or {to_iso(start + self.window)}"
                msg = f"{where}.{name} is not the start of a window; the nearest are {near}"
                raise ValueError(f"{msg}{self._uneven}")

    @property
    def _uneven(self) -> str:
        """Say why windows begin at odd times, if they do."""
        if not DAY_MS % self.window or not self.window % DAY_MS:
            return ""
        return (
            f". A `window` of {to_duration(self.window)} does not divide a day, so windows begin "
            "at another time each day"
        )


def load_stream(path: Path) -> StreamConfig:
    """Read a stream file; SettingsError says where it is wrong and what was probably meant.

    MissingExtraError if its calendar is a country's, and nothing is installed that knows it.
    """
    data = variables.read(path)
    if not isinstance(data, dict):
        msg = f"{path} is empty or not a mapping: see `tidegauge config schema` for its keys"
        raise SettingsError(msg)
    if {"classes", "probes"} <= data.keys() and "source" not in data:
        msg = (
            f"{path} is a ProbeSet file, not a stream file: name a file with `source`, `baseline` "
            f"and `probes: {path.name}`"
        )
        raise SettingsError(msg)
    try:
        read_from = {"folder": str(path.parent), "file": str(path)}
        config = StreamConfig.model_validate({**data, **read_from})
        civil_time.check_country(config.calendar)
    except CivilTimeError as error:
        msg = f"{path} is not valid:\n  calendar: {error}"
        raise SettingsError(msg) from error
    except ValidationError as error:
        msg = f"{path} is not valid:\n{explain(error, StreamConfig)}"
        raise SettingsError(msg) from error
    return config


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a stream file."""
    document: dict[str, Any] = with_written_defaults(StreamConfig.model_json_schema(by_alias=True))
    for ours in ("folder", "file"):
        document["properties"].pop(ours)
    return document
