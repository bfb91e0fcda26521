"""Settings of files and variables: units, secrets, variables in values, plain words."""

from __future__ import annotations

import json
import pickle
import re
from pathlib import Path
from typing import Any

import pytest

from tidegauge_alerts.errors import ReceiverError
from tidegauge_alerts.receivers import EmailReceiver, WebhookReceiver
from tidegauge_service.config import settings, stream_file
from tidegauge_service.config.settings import Retention, Settings, load_settings
from tidegauge_service.config.stream_file import StreamConfig, load_stream
from tidegauge_service.config.variables import substituted
from tidegauge_service.errors import SettingsError

SECRET = "hunter2-hunter2"
ANY_BASELINE = "baseline: must be {from: …, until: …}, {name: …} or {path: …}"
DATE = "an ISO 8601 date or time, e.g. 2020-02-12 or 2020-02-12T06:00Z"
STREAM = """\
name: s
source: {kind: file, path: x.jsonl}
probes: lfs:LFS
baseline: {name: b}
"""


@pytest.fixture
def written(tmp_path: Path) -> Any:
    """Write tidegauge.yaml."""

    def write(text: str) -> Path:
        path = tmp_path / "tidegauge.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def refused(path: Path) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(path)
    error: BaseException | None = caught.value
    said = str(error)
    while error is not None:  # a traceback shows what it was raised from, too
        assert SECRET not in f"{error}{error!r}"
        error = error.__cause__ or error.__context__
    return said


def stream(tmp_path: Path, more: str = "", text: str = STREAM) -> StreamConfig:
    path = tmp_path / "stream.yaml"
    path.write_text(text + more, encoding="utf-8")
    return load_stream(path)


def refused_stream(tmp_path: Path, more: str = "", text: str = STREAM) -> str:
    with pytest.raises(SettingsError) as caught:
        stream(tmp_path, more, text)
    return str(caught.value)


# -- Durations --------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", ["365", "'365'", "3.5", "1:30", "true", "[1d]", "1e3", "0"])
def test_what_is_kept_for_so_long_needs_a_unit(written: Any, keep: str) -> None:
    said = refused(written(f"retention: {{candidates: {{keep: {keep}}}}}"))
    assert "retention.candidates.keep: " in said
    if keep != "0":
        assert "e.g. 6h" in said


def test_a_duration_without_a_unit_says_which_to_write(written: Any, tmp_path: Path) -> None:
    assert "'365' has no unit: write ms, s, m, h, d or w after it" in refused(
        written("retention: {candidates: {keep: 365}}")
    )
    assert "window: '3600' has no unit" in refused_stream(tmp_path, "window: 3600")
    assert "window: '1:30' is not a duration" in refused_stream(tmp_path, "window: 1:30")
    assert "limits.max_skew: '5' has no unit" in refused_stream(tmp_path, "limits: {max_skew: 5}")
    assert "max_skew: '-5'" in refused_stream(tmp_path, "limits: {max_skew: -5}")
    assert "the longest duration is 36500d" in refused_stream(tmp_path, "window: 99999999999w")


def test_zero_needs_no_unit_where_zero_is_allowed(tmp_path: Path) -> None:
    assert stream(tmp_path, "lateness: 0").lateness == 0
    assert "must be longer than zero" in refused_stream(tmp_path, "window: 0")
    assert "not a duration" in refused_stream(tmp_path, "lateness: false")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GRACE", "8"),
        ("GRACE", "8000"),
        ("RETENTION", '{"candidates": {"keep": 365}}'),
        ("RETENTION", '{"candidates": {"keep": "365"}}'),
        ("RETENTION", '{"every": 60}'),
    ],
)
def test_variables_need_units_too(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"TIDEGAUGE_{name}", value)
    with pytest.raises(SettingsError, match="has no unit"):
        load_settings()


def test_units_in_variables_and_files_are_milliseconds_in_the_program(
    written: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEGAUGE_GRACE", "20s")
    monkeypatch.setenv("TIDEGAUGE_RETENTION", '{"candidates": {"keep": "30d"}}')
    found = load_settings(written("retention: {candidates: {keep: 1d}}\n"))
    assert found.grace == 20_000
    assert found.retention.candidates.keep == 30 * 86_400_000
    assert found.retention.panes == Retention().panes


def test_a_configuration_survives_the_database_and_the_way_to_a_worker(tmp_path: Path) -> None:
    found = stream(
        tmp_path,
        "window: 90m\nlateness: 0\nlimits: {commit_interval: 1500ms}\n",
        STREAM.replace("{name: b}", "{from: 2026-01-01, until: 2026-01-01T03:00Z}"),
    )
    as_json = found.model_dump_json(by_alias=True)
    again = StreamConfig.model_validate_json(as_json)
    assert again.model_dump() == found.model_dump()
    assert json.loads(as_json)["window"] == "90m"
    assert json.loads(as_json)["baseline"]["from"] == "2026-01-01T00:00:00Z"
    assert pickle.loads(pickle.dumps(found)) == found  # noqa: S301  (ours)


@pytest.mark.parametrize("of", [settings.schema, stream_file.schema])
def test_defaults_in_the_schemas_are_written_as_people_write_them(of: Any) -> None:
    def check(part: Any) -> None:
        if isinstance(part, dict):
            if part.get("default") is not None and "pattern" in part:
                assert re.fullmatch(part["pattern"], part["default"])
            for inner in part.values():
                check(inner)

    document = of()
    check(document)
    shown = json.dumps(document)
    assert ('"default": "8s"' in shown) != ('"default": "1h"' in shown)


def test_a_date_without_dashes_is_no_number_of_milliseconds(tmp_path: Path) -> None:
    for start in ("20260101", "2026", "1767225600"):
        text = STREAM.replace("{name: b}", f"{{from: {start}, until: 2026-01-03}}")
        assert "baseline.from: not a date" in refused_stream(tmp_path, text=text)


# -- Secrets ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        f"token: {{a: {SECRET}}}",
        f"token: [{SECRET}]",
        f"token: {SECRET} x",
        f"database: [{SECRET}]",
        f"kafka_password: {{a: {SECRET}}}",
        f"receivers: {SECRET}",
        f"receivers: [{SECRET}]",
        f"receivers: {{ops: {SECRET}}}",
        f"receivers: {{ops: [{SECRET}]}}",
        f"port: http://me:{SECRET}@host",
        f"tokn: {SECRET}",
        f"retention: {{panes: {{keep: {{a: {SECRET}}}}}}}",
        f"token: a\ntoken: {SECRET}",
    ],
)
def test_no_error_of_settings_shows_a_secret(written: Any, text: str) -> None:
    assert SECRET not in refused(written(text))


@pytest.mark.parametrize("name", ["TOKEN", "DATABASE", "RECEIVERS"])
@pytest.mark.parametrize("value", [f"[{SECRET}", f'"{SECRET} ü"', f'{{"a": "{SECRET}"}}'])
def test_no_error_of_a_variable_shows_its_value(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"TIDEGAUGE_{name}", value)
    said = problem_of_settings()
    assert SECRET not in said


def problem_of_settings() -> str:
    """Return the error of the present variables, or the settings as they show themselves."""
    try:
        found = load_settings()
        found.parsed_receivers()
    except (SettingsError, ReceiverError) as error:
        return str(error)
    return repr(found.database)


@pytest.mark.parametrize(
    "source",
    [
        f"{{bootstrap: b, topic: t, sasl_password: {SECRET}}}",
        f"{{kind: kafka, topic: t, sasl_password: {SECRET}}}",
        f"{{kind: kafka, bootstrap: b, topic: t, sasl_password: [{SECRET}]}}",
        f"{{kind: kafka, bootstrap: b, topic: t, sasl_pasword: {SECRET}}}",
        f"{{kind: kafka, bootstrap: b, topic: t, sasl_password: {SECRET}}}",
        f"[{SECRET}]",
    ],
)
def test_no_error_of_a_stream_file_shows_a_secret(tmp_path: Path, source: str) -> None:
    text = STREAM.replace("{kind: file, path: x.jsonl}", source)
    assert SECRET not in refused_stream(tmp_path, text=text)


def test_levels_of_the_log_are_listed(written: Any) -> None:
    said = refused(written("log_level: loud"))
    assert "log_level: must be 'DEBUG', 'INFO', 'WARNING' or 'ERROR'" in said


def test_an_address_with_a_password_is_shown_without_it(tmp_path: Path) -> None:
    registry = f"{{url: 'https://me:{SECRET}@registry/x@y'}}"
    more = f"record: {{format: avro, schema_registry: {registry}}}\n"
    said = refused_stream(tmp_path, more, STREAM.replace("file, path: x", "kafka, topic: x"))
    assert "record.schema_registry.url" in said
    assert SECRET not in said


def test_a_receiver_shows_no_secret(written: Any) -> None:
    text = f"receivers: {{ops: {{kind: webhook, url: 'http://h/{SECRET}', secret: {SECRET}}}}}"
    found = load_settings(written(text)).parsed_receivers()["ops"]
    assert SECRET not in repr(found)


# -- The token --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("token", "says"),
    [
        ("", "is empty"),
        ("   ", "is empty"),
        ("short", "has 5 characters: use at least 12"),
        ("twelve chars with spaces", "no spaces"),
        ("zwölf-zeichen-lang", "only ASCII"),
        ("token\twith\ttabs", "no spaces"),
        ("token-with-semicolon;", "no spaces, quotes, commas"),
        ("token-with-nul-\x7f", "only ASCII"),
    ],
)
def test_a_token_that_could_not_be_sent_is_refused_at_start(token: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says) as caught:
        load_settings(token=token)
    assert "token: " in str(caught.value)
    assert not token.strip() or token not in str(caught.value)


def test_an_empty_variable_is_refused_like_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGAUGE_TOKEN", "")
    with pytest.raises(SettingsError, match="token: is empty"):
        load_settings()


# -- Variables in values ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${A}", "one"),
        ("x${A}y${A}", "xoneyone"),
        ("${NONE:-other}", "other"),
        ("${EMPTY:-other}", "other"),
        ("${EMPTY}", ""),
        ("${NONE:-}", ""),
        ("${A:-other}", "one"),
        ("$${A}", "${A}"),
        ("$$", "$"),
        ("cost: 5$", "cost: 5$"),
        ("^x$|y", "^x$|y"),
        ("${REFERS}", "${A}"),
        ("${NONE:-a:-b}", "a:-b"),
    ],
)
def test_variables_are_replaced_once(
    monkeypatch: pytest.MonkeyPatch, text: str, value: str
) -> None:
    monkeypatch.setenv("A", "one")
    monkeypatch.setenv("EMPTY", "")
    monkeypatch.setenv("REFERS", "${A}")
    monkeypatch.delenv("NONE", raising=False)
    assert substituted(text) == value


@pytest.mark.parametrize("text", ["${", "${A", "${}", "${A-b}", "${1A}", "${A B}", "${A:?no}"])
def test_what_names_no_variable_says_how_to_write_one(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a variable: write \$\{NAME\}"):
        substituted(text)


def test_a_variable_that_is_not_set_is_named_with_its_line(
    written: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HOOK", raising=False)
    said = refused(written("receivers:\n  ops:\n    kind: webhook\n    url: ${HOOK}\n"))
    assert "tidegauge.yaml, line 4, column 10: variable HOOK is not set" in said


def test_a_value_cannot_change_the_document(written: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("V", "a}, evil: {kind: log}\nport: 1\n#")
    monkeypatch.setenv("PORT", "9000")
    monkeypatch.setenv("SECONDS", "7.5")
    found = load_settings(
        written(
            "port: ${PORT}\nurl: ${V}\nreceivers:\n  ops:\n    kind: webhook\n"
            '    url: "http://h/"\n    secret: ${V}\n    timeout_s: ${SECONDS}\n'
        )
    )
    assert (found.port, list(found.receivers)) == (9000, ["ops"])
    receiver = found.parsed_receivers()["ops"]
    assert isinstance(receiver, WebhookReceiver)
    assert receiver.secret == "a}, evil: {kind: log}\nport: 1\n#"
    assert receiver.timeout_s == 7.5
    assert pickle.loads(pickle.dumps(found)) == found  # noqa: S301  (ours)


def test_numbers_of_any_kind_of_receiver_can_come_from_a_variable(
    written: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORT", "2525")
    monkeypatch.setenv("PRIVATE", "true")
    found = load_settings(
        written(
            "receivers:\n  ops:\n    kind: email\n    host: h\n    from: a@b.example\n"
            "    to: ['${TO:-c@d.example}']\n    port: ${PORT}\n    allow_private: ${PRIVATE}\n"
        )
    )
    receiver = found.parsed_receivers()["ops"]
    assert isinstance(receiver, EmailReceiver)
    assert (receiver.port, receiver.allow_private, receiver.to) == (2525, True, ("c@d.example",))


def test_a_value_of_a_variable_is_shown_as_it_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", SECRET)
    said = refused_stream(tmp_path, "limits: {max_segments: '${SECRET}'}\n")
    assert "limits.max_segments: must be a whole number" in said
    assert "${SECRET}" in said
    assert SECRET not in said


def test_keys_hold_no_variables(written: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", "port")
    assert "unknown key" in refused(written("${KEY}: 9000"))


# -- One problem in plain words ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("baseline", "says"),
    [
        ("{from: 2026-01-01}", ["baseline.until: required key is missing"]),
        ("{nam: b}", ["baseline.nam: unknown key; did you mean 'name'?",
                      "baseline.name: required key is missing"]),
        ("{name: b, file: x}", ["baseline.file: unknown key; known: name"]),
        ("{}", [ANY_BASELINE]),
        ("{colour: red}", [ANY_BASELINE]),
        ("yesterday", [f"{ANY_BASELINE} (got 'yesterday')"]),
        ("{path: 3}", ["baseline.path: must be a string (got 3)"]),
        ("{from: x, until: 2026-01-02}", [f"baseline.from: 'x' is not {DATE}"]),
    ],
)  # fmt: skip
def test_a_wrong_baseline_gives_the_problems_of_one_branch(
    tmp_path: Path, baseline: str, says: list[str]
) -> None:
    said = refused_stream(tmp_path, text=STREAM.replace("{name: b}", baseline))
    lines = [line.strip() for line in said.splitlines()[1:]]
    assert sorted(lines) == sorted(says)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("{kind: kafka, bootstrap: b}", "source.topic: required key is missing"),
        ("{path: x}", "source.kind: required key is missing"),
        ("{kind: kafak}", "source.kind: must be one of 'file', 'kafka', 'log', 'demo'"),
        ("{kind: file, path: x, pth: y}", "source.pth: unknown key; did you mean 'path'?"),
        ("{kind: file, path: [x]}", "source.path: must be a string (got a list)"),
        ("x.jsonl", "source: must be"),
    ],
)
def test_a_wrong_source_is_told_without_the_names_of_classes(
    tmp_path: Path, source: str, says: str
) -> None:
    said = refused_stream(tmp_path, text=STREAM.replace("{kind: file, path: x.jsonl}", source))
    assert says in said
    assert len(said.splitlines()) == 2
    for ours in ("FileSource", "KafkaSource", "Input should", "Value error", "discriminator"):
        assert ours not in said


def test_settings_repr_hides_secrets() -> None:
    found = Settings(token=SECRET, database=f"postgresql://u:{SECRET}@h/d")  # type: ignore[arg-type]
    assert SECRET not in repr(found)
