from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.servers.required import require_holidays
from tests.service.streams_for_tests import HOUR, START
from tidegauge_probes.drift.civil_time import CivilTime
from tidegauge_probes.errors import MissingExtraError
from tidegauge_service.clock import from_iso
from tidegauge_service.config.sources import KafkaSource
from tidegauge_service.config.stream_file import BaselineRange, StreamConfig, load_stream, schema
from tidegauge_service.errors import SettingsError

WHOLE = """\
name: loans.v2
source:
  kind: kafka
  bootstrap: kafka-1:9092,kafka-2:9092
  topic: loans
  group: tidegauge
  start: latest
  idle_grace: 2m
  security_protocol: SASL_SSL
  sasl_mechanism: SCRAM-SHA-512
  sasl_username: reader
  sasl_password: hush
record: {id: null, timestamp: "@source", text: payload.body}
probes: probes.yaml
segment_by: [country, product.kind]
window: 6h
lateness: 30m
baseline: {from: 2020-02-12, until: 2020-02-19T06:00:00Z}
alerts: {false_alarms: 2 per  month, receivers: [ops], for_windows: 2}
samples: {each: 20, blind_spot: 100, keep_windows: 24, per_window: 50}
limits: {max_record_bytes: 4096, max_skew: 1m, commit_interval: 500ms}
"""

LEAST: dict[str, Any] = {
    "name": "spam",
    "source": {"kind": "file", "path": "records.jsonl"},
    "probes": "probes.yaml",
    "baseline": {"path": "train.jsonl"},
}


def load(folder: Path, **changes: Any) -> StreamConfig:
    return load_text(folder, yaml.safe_dump(LEAST | changes))


def load_text(folder: Path, text: str) -> StreamConfig:
    (folder / "stream.yaml").write_text(text)
    return load_stream(folder / "stream.yaml")


def refused(folder: Path, **changes: Any) -> str:
    with pytest.raises(SettingsError) as caught:
        load(folder, **changes)
    assert "stream.yaml is not valid" in str(caught.value)
    return str(caught.value)


def test_everything_can_be_set(tmp_path: Path) -> None:
    config = load_text(tmp_path, WHOLE)
    assert config.name == "loans.v2"
    assert isinstance(config.source, KafkaSource)
    assert config.source.idle_grace == 120_000
    assert config.record.id is None
    assert (config.window, config.lateness) == (6 * HOUR, HOUR // 2)
    assert isinstance(config.baseline, BaselineRange)
    assert config.baseline.from_ == from_iso("2020-02-12T00:00:00Z")
    assert config.baseline.until == from_iso("2020-02-19T06:00:00Z")
    assert config.limits.commit_interval == 500
    assert config.folder == str(tmp_path)
    assert "hush" not in repr(config)


def test_little_must_be_set(tmp_path: Path) -> None:
    config = load(tmp_path)
    assert (config.window, config.lateness) == (HOUR, 300_000)
    assert (config.record.id, config.record.timestamp) == ("id", "timestamp")


@pytest.mark.parametrize("key", list(LEAST))
def test_what_is_needed_and_missing_is_named(tmp_path: Path, key: str) -> None:
    text = yaml.safe_dump({k: v for k, v in LEAST.items() if k != key})
    with pytest.raises(SettingsError, match=f"{key}: required key is missing"):
        load_text(tmp_path, text)


@pytest.mark.parametrize(
    ("changes", "place", "meant"),
    [
        ({"windw": "1h"}, "windw", "window"),
        ({"record": {"timestmp": "at"}}, "record.timestmp", "timestamp"),
        ({"source": {"kind": "file", "path": "x", "pth": "y"}}, "source.pth", "path"),
        ({"limits": {"max_skw": "1m"}}, "limits.max_skw", "max_skew"),
        ({"alerts": {"false_alarm": "1 per day"}}, "alerts.false_alarm", "false_alarms"),
    ],
)
def test_an_unknown_key_names_the_nearest(
    tmp_path: Path, changes: dict[str, Any], place: str, meant: str
) -> None:
    assert f"{place}: unknown key; did you mean '{meant}'?" in refused(tmp_path, **changes)


def test_a_budget_in_windows_says_what_replaced_it(tmp_path: Path) -> None:
    said = refused(tmp_path, alerts={"budget": 0.5})
    assert "alerts: `budget` was replaced by `false_alarms`" in said
    assert "`false_alarms: 1 per quarter`" in said


@pytest.mark.parametrize("written", ["1", "0 per day", "1 per hour", "-1 per day", "one per day"])
def test_a_bad_budget_says_how_to_write_one(tmp_path: Path, written: str) -> None:
    said = refused(tmp_path, alerts={"false_alarms": written})
    assert "alerts.false_alarms" in said
    assert "write `1 per quarter` (or day, week, month, quarter, year)" in said


@pytest.mark.parametrize(
    ("window", "text", "per_thousand"),
    [("1m", "1 per quarter", 0.0077), ("1h", "1 per quarter", 0.46), ("1d", "1 per year", 2.74),
     ("7d", "1 per year", 19.2)],
)  # fmt: skip
def test_the_budget_is_by_time(tmp_path: Path, window: str, text: str, per_thousand: float) -> None:
    config = load(tmp_path, window=window)
    assert config.false_alarms.text == text
    found = 1_000 * config.false_alarms.per_window(config.window)
    assert found == pytest.approx(per_thousand, rel=0.01)
    written = load(tmp_path, window=window, alerts={"false_alarms": "2.5 per month"})
    assert written.false_alarms.text == "2.5 per month"


@pytest.mark.parametrize("key", ["window", "lateness"])
@pytest.mark.parametrize("value", ["1 hour", "1.5h", "", "h", "-1h"])
def test_a_bad_duration_says_how_to_write_one(tmp_path: Path, key: str, value: str) -> None:
    said = refused(tmp_path, **{key: value})
    assert f"{key}: '{value}' is not a duration" in said
    assert "e.g. 6h" in said


def test_a_window_has_a_length_and_lateness_may_be_none(tmp_path: Path) -> None:
    assert "must be longer than zero" in refused(tmp_path, window="0s")
    assert load(tmp_path, lateness="0s").lateness == 0


def test_stretches_are_left_out_and_kept_at_starts_of_windows(tmp_path: Path) -> None:
    day = {"from": "2020-01-03", "until": "2020-01-04"}
    chosen = {"from": "2020-01-01", "until": "2020-02-01", "leave_out": [day], "keep": [day]}
    config = load(tmp_path, baseline=chosen)
    assert isinstance(config.baseline, BaselineRange)
    assert [s.span for s in config.baseline.keep] == [(1_578_009_600_000, 1_578_096_000_000)]
    again = StreamConfig.model_validate_json(config.model_dump_json(by_alias=True))
    assert again.baseline == config.baseline
    for wrong, said in (
        ({"from": "2020-01-03T00:30Z", "until": "2020-01-04"}, "baseline.keep[0].from is not the"),
        ({"from": "2020-01-04", "until": "2020-01-03"}, "`from` must be before `until`"),
    ):
        with pytest.raises(SettingsError) as caught:
            load(tmp_path, baseline={**chosen, "keep": [wrong]})
        assert said in str(caught.value)


def test_a_window_that_does_not_divide_a_day_is_the_reason_for_odd_starts(tmp_path: Path) -> None:
    since = {"from": "2026-11-13", "until": "2026-11-20"}
    said = refused(tmp_path, window="7h", baseline=since)
    assert "A `window` of 7h does not divide a day, so windows begin at another time" in said
    half = {"from": "2026-11-13T00:30", "until": "2026-11-20"}
    for window in ("1h", "1d"):
        said = refused(tmp_path, window=window, baseline=half)
        assert "is not the start of a window" in said
        assert "divide" not in said


def test_a_probe_set_file_is_recognized(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as raised:
        load_text(tmp_path, "classes: [HAM, SPAM]\nprobes: []\n")
    said = str(raised.value)
    assert "stream.yaml is a ProbeSet file, not a stream file" in said
    assert "unknown key" not in said


def test_keys_that_only_the_loader_sets_are_not_listed(tmp_path: Path) -> None:
    said = refused(tmp_path, xyzzy=1)
    assert "known: alerts, baseline, calendar, copies, lateness, limits" in said
    assert "folder" not in said


def test_a_range_must_start_before_it_ends_at_starts_of_windows(tmp_path: Path) -> None:
    backwards = {"from": "2020-02-19", "until": "2020-02-12"}
    said = refused(tmp_path, baseline=backwards)
    assert (
        "`from` must be before `until` (2020-02-19T00:00:00Z is not before 2020-02-12T00:00:00Z)"
    ) in said
    assert "got a mapping" not in said
    empty = {"from": "2020-02-12", "until": "2020-02-12"}
    assert "`from` must be before `until`" in refused(tmp_path, baseline=empty)
    for name, moment in (("from", "2020-02-12T00:30:00Z"), ("until", "2020-02-19T00:30:00Z")):
        crooked = {"from": "2020-02-12", "until": "2020-02-19", name: moment}
        said = refused(tmp_path, baseline=crooked)
        assert f"baseline.{name} is not the start of a window" in said
        assert f"{moment[:11]}00:00:00Z or {moment[:11]}01:00:00Z" in said
        assert load(tmp_path, baseline=crooked, window="30m").window == 30 * 60_000


@pytest.mark.parametrize(
    "written",
    ["2020-09-13", "2020-09-13T00:00:00Z", "2020-09-13 00:00:00", "'2020-09-13T02:00+02:00'"],
)
def test_dates_are_read_however_yaml_reads_them(tmp_path: Path, written: str) -> None:
    text = yaml.safe_dump(LEAST | {"baseline": None}).replace(
        "baseline: null", f"baseline: {{from: {written}, until: 2020-09-20}}"
    )
    config = load_text(tmp_path, text)
    assert isinstance(config.baseline, BaselineRange)
    assert config.baseline.from_ == from_iso("2020-09-13T00:00:00Z")


def test_epoch_milliseconds_are_dates_too(tmp_path: Path) -> None:
    config = load(tmp_path, baseline={"from": START, "until": START + HOUR})
    assert isinstance(config.baseline, BaselineRange)
    assert config.baseline.from_ == START


@pytest.mark.parametrize("written", ["2020-02-30", "2020-13-01", "'yesterday'"])
def test_a_date_that_is_none_says_so(tmp_path: Path, written: str) -> None:
    text = yaml.safe_dump(LEAST | {"baseline": None}).replace(
        "baseline: null", f"baseline: {{from: {written}, until: 2020-09-20}}"
    )
    with pytest.raises(SettingsError, match=r"stream\.yaml is not"):
        load_text(tmp_path, text)


@pytest.mark.parametrize("name", ["", "-x", ".x", "a b", "a/b", "ä", "x" * 101, "a\n"])
def test_a_name_is_of_letters_that_every_address_can_hold(tmp_path: Path, name: str) -> None:
    said = refused(tmp_path, name=name)
    assert "name:" in said
    assert "must be 1 to 100 letters (a to z), digits, `_`, `.` or `-`" in said
    assert "pattern" not in said


@pytest.mark.parametrize("name", ["a", "0", "A.b_c-9", "x" * 100])
def test_good_names(tmp_path: Path, name: str) -> None:
    assert load(tmp_path, name=name).name == name


def test_an_unknown_kind_of_source_lists_the_known(tmp_path: Path) -> None:
    said = refused(tmp_path, source={"kind": "kafak"})
    assert "source.kind: must be one of" in said
    for kind in ("kafka", "file", "demo"):
        assert f"'{kind}'" in said


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"cannot read .*none\.yaml: No such file"):
        load_stream(tmp_path / "none.yaml")


@pytest.mark.parametrize("text", ["", "[]", "just words", "null"])
def test_a_file_that_is_no_mapping_says_where_the_keys_are(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError, match="tidegauge config schema"):
        load_text(tmp_path, text)


def test_what_is_no_yaml_says_where(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"stream\.yaml, line 3, column 1: not valid YAML"):
        load_text(tmp_path, "name: a\nsource: {kind\n")
    (tmp_path / "stream.yaml").write_bytes(b"name: \xff\n")
    with pytest.raises(SettingsError, match="is not valid YAML: line 1 is not UTF-8"):
        load_stream(tmp_path / "stream.yaml")


def plain(text: str) -> Any:
    """Read YAML as an editor with a schema does: dates are texts."""
    resolvers = {
        first: [pair for pair in pairs if pair[0] != "tag:yaml.org,2002:timestamp"]
        for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    loader = type("Plain", (yaml.SafeLoader,), {"yaml_implicit_resolvers": resolvers})
    return yaml.load(text, loader)  # noqa: S506  (a SafeLoader with fewer types)


def test_the_schema_is_a_json_schema_that_takes_what_the_loader_takes(tmp_path: Path) -> None:
    document = schema()
    jsonschema.Draft202012Validator.check_schema(document)
    validator = jsonschema.Draft202012Validator(document)
    assert document["properties"].keys().isdisjoint({"folder", "file"})
    for text in (WHOLE, yaml.safe_dump(LEAST), yaml.safe_dump(LEAST | {"lateness": 0})):
        load_text(tmp_path, text)
        assert [error.message for error in validator.iter_errors(plain(text))] == []


def test_the_schema_takes_the_example(tmp_path: Path) -> None:
    example = Path(__file__).resolve().parents[3] / "examples" / "spam" / "stream.yaml"
    assert load_stream(example).name
    jsonschema.Draft202012Validator(schema()).validate(plain(example.read_text()))


@pytest.mark.parametrize(
    "wrong",
    [
        {"windw": "1h"},
        {"window": 1.5},
        {"window": 3600},
        {"window": "3600"},
        {"window": 0},
        {"lateness": 5},
        {"lateness": "-5m"},
        {"limits": {"max_skew": "1:30"}},
        {"name": "a b"},
        {"source": {"kind": "kafak"}},
    ],
)
def test_the_schema_refuses_what_the_loader_refuses(tmp_path: Path, wrong: dict[str, Any]) -> None:
    assert refused(tmp_path, **wrong)
    assert not jsonschema.Draft202012Validator(schema()).is_valid(LEAST | wrong)


# -- Time zone and calendar -----------------------------------------------------------------------


def test_the_time_zone_is_utc_and_there_are_no_holidays_unless_said(tmp_path: Path) -> None:
    assert load(tmp_path).civil == CivilTime("UTC", "")


@pytest.mark.parametrize(
    ("written", "calendar"),
    [
        ("DE", "DE"),
        ("DE-BY", "DE-BY"),
        ("NO", "NO"),
        ("[2026-12-24, 2026-12-31]", ("2026-12-24", "2026-12-31")),
    ],
)
def test_a_stream_has_a_zone_and_a_calendar(
    tmp_path: Path, written: str, calendar: str | tuple[str, ...]
) -> None:
    if isinstance(calendar, str):
        require_holidays()
    text = yaml.safe_dump(LEAST) + f"timezone: Europe/Berlin\ncalendar: {written}\n"
    config = load_text(tmp_path, text)
    assert config.civil == CivilTime("Europe/Berlin", calendar)
    again = StreamConfig.model_validate_json(config.model_dump_json(by_alias=True))
    assert again.civil == config.civil
    jsonschema.validate(json.loads(config.model_dump_json(by_alias=True)), schema())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"timezone": "Berlin"}, "timezone: no time zone 'Berlin'; did you mean 'Europe/Berlin'?"),
        (
            {"timezone": "CEST"},
            "timezone: no time zone 'CEST'. Name a place instead of an abbreviation, such as",
        ),
        ({"calendar": "Germany"}, "calendar: 'Germany' is not a country"),
        ({"calendar": ["24.12.2026"]}, "'24.12.2026' is not a date"),
    ],
)
def test_what_is_no_zone_or_calendar_is_refused(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, **changes)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("calendar", "said"),
    [
        ("DX", "calendar: no holidays are known for 'DX'; did you mean"),
        ("DE-BX", "calendar: no holidays are known for the region 'BX' of DE"),
    ],
)
def test_a_country_without_known_holidays_is_refused(
    tmp_path: Path, calendar: str, said: str
) -> None:
    require_holidays()
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, calendar=calendar)
    assert said in str(caught.value)


def test_a_country_needs_its_extra_and_a_list_of_dates_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "holidays", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'tidegauge\[calendar\]'"):
        load(tmp_path, calendar="DE")
    assert load(tmp_path, calendar=["2026-12-24"]).calendar == ("2026-12-24",)


KAFKA = {"kind": "kafka", "bootstrap": "b:9092", "topic": "t"}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"source": KAFKA},
        {"source": {**KAFKA, "security_protocol": "SSL", "ssl_check_hostname": False}},
        {"source": {"kind": "log"}},
        {"source": {"kind": "demo"}},
        {
            "source": KAFKA,
            "record": {"format": "avro", "schema_registry": {"url": "http://registry:8081"}},
        },
        {
            "baseline": {
                "from": "2026-01-01",
                "until": "2026-01-15",
                "balance": {"a": 0.4, "b": 0.6},
            }
        },
        {"baseline": {"name": "spring"}},
        {"baseline": {"path": "train.jsonl", "gold": "label"}},
        {"timezone": "Europe/Berlin", "calendar": ["2026-12-24"]},
        {"alerts": {"false_alarms": "2 per month", "mute": ["sat 10:00-12:00 Europe/Berlin"]}},
        {"source": {"kind": "file", "path": "*.csv", "csv": {"delimiter": ";"}}},
    ],
)
def test_what_a_database_keeps_of_a_stream_file_is_read_again(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    """The stored form names every field, defaults included."""
    if "source" in changes and changes["source"].get("kind") in {"log", "kafka"}:
        changes = {"record": {"id": "id"}, **changes}
    config = load(tmp_path, **changes)
    text = config.model_dump_json(by_alias=True)
    again = StreamConfig.model_validate_json(text)
    assert again.model_dump_json(by_alias=True) == text


def test_a_stored_file_with_secrets_is_read_again_without_them(tmp_path: Path) -> None:
    config = load_text(tmp_path, WHOLE)
    text = config.model_dump_json(by_alias=True)
    assert "hush" not in text
    again = StreamConfig.model_validate_json(text)
    assert again.model_dump_json(by_alias=True) == text
