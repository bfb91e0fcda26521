"""``tidegauge probes check`` on files as people have them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tests.service.streams_for_tests import record, write_jsonl, write_stream
from tidegauge_probes import ProbeError
from tidegauge_probes.errors import TidegaugeError
from tidegauge_service.cli.main import app
from tidegauge_service.errors import SettingsError

PROBES = """\
classes: [HAM, SPAM]
probes:
  - {name: pills, label: SPAM, keyword: {any: [pills]}}
  - {name: "[b]links", label: SPAM, numeric: {field: links, above: 2}}
slices:
  - {name: asks, regex: {pattern: "[?]"}}
"""
RECORDS = '{"text": "pills?"}\n{"text": "secret"}\nno record\n{"text": "a", "links": 3}\n'


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "probes.yaml").write_text(PROBES, encoding="utf-8")
    (tmp_path / "sample.jsonl").write_text(RECORDS, encoding="utf-8")
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["probes", "check", *arguments])


@pytest.mark.usefixtures("files")
def test_people_are_told_what_each_lf_looks_for_and_did() -> None:
    result = run("probes.yaml", "--sample", "sample.jsonl")
    assert result.exit_code == 0, result.output
    shown = " ".join(result.stdout.split())
    assert "pills → SPAM: text holds “pills”, in any case" in shown
    assert "asks → slice: text matches /[?]/, in any case" in shown
    assert "3 records, 1 unreadable" in shown
    failing = "[b]links, 2 records: missing_field, field 'links': the record has no field 'links'"
    assert failing in shown
    assert f"warning: [b]links fails on 66.7% of the sample {failing}" in shown
    assert "secret" not in shown


def test_a_slicing_function_that_fails_is_a_warning_too(files: Path) -> None:
    rows: list[dict[str, Any]] = [{"text": "pills?", "links": 1}, {"text": 7, "links": 1}]
    write_jsonl(files / "sample.jsonl", rows)
    shown = " ".join(run("probes.yaml", "--sample", "sample.jsonl").stdout.split())
    assert "warning: asks fails on 50.0% of the sample asks, 1 records:" in shown
    assert run("probes.yaml", "--sample", "sample.jsonl", "--strict").exit_code == 1


LATIN = "id,timestamp,text\nr0,2020-09-13T12:00Z,caf\u00e9\n"


def refused(*arguments: str) -> str:
    result = CliRunner().invoke(app, [*arguments])
    assert isinstance(result.exception, TidegaugeError), result.output
    return str(result.exception)


def test_an_encoding_is_blamed_on_what_has_set_it(files: Path) -> None:
    """On an option, on the stream file, or, where neither can say it, on the file itself."""
    (files / "sample.csv").write_bytes(LATIN.encode("latin-1"))
    write_jsonl(files / "records.jsonl", [record(0, "free")])
    stream = str(write_stream(files))
    alone = refused("probes", "check", "probes.yaml", "--sample", "sample.csv")
    assert "not utf-8: " in alone
    assert "source.csv" not in alone
    assert "not utf-8 (source.csv.encoding)" in refused(
        "probes", "check", stream, "--sample", "sample.csv"
    )
    fit = ("baseline", "fit", stream, "--name", "x", "--records", "sample.csv")
    (files / "sample.csv").write_bytes("caf\u00e9,id\n".encode("latin-1"))
    option = refused(*fit, "--encoding", "utf-8")
    assert "not utf-8 (--encoding): " in option
    assert option.endswith("; correct --encoding")
    assert refused(*fit).endswith("; correct source.csv.encoding")
    alone = refused("probes", "check", "probes.yaml", "--sample", "sample.csv")
    assert alone.endswith("; convert the file to UTF-8")


def test_a_sample_is_read_in_the_dialect_of_its_stream(files: Path) -> None:
    (files / "sample.csv").write_bytes(LATIN.encode("latin-1"))
    source = {"kind": "file", "path": "*.csv", "csv": {"encoding": "latin-1"}}
    result = run(str(write_stream(files, source=source)), "--sample", "sample.csv")
    assert result.exit_code == 0, result.output
    assert "1 record, 0 unreadable" in result.stdout


def test_a_field_that_no_record_has_is_named_once(files: Path) -> None:
    (files / "sample.jsonl").write_text('{"id": "a", "body": "pills?", "links": 1}\n' * 5)
    shown = " ".join(run("probes.yaml", "--sample", "sample.jsonl").stdout.split())
    said = "field 'text' is in none of the 5 records, so 2 LFs fail; the records have: id, body, l"
    assert shown.count(said) == 1
    assert shown.count("warning: field") == 1, "not once more for each LF"
    assert shown.index("warning:") == shown.index("warning: field"), "it explains the others"
    assert "error:" not in shown, "it exits with 0"
    assert "To have `record.text` copied there, check the stream file instead" in shown
    assert "pills fails on 100.0% of the sample" in shown
    assert "pills never fires" not in shown, "that is said already"
    found = json.loads(run("probes.yaml", "--sample", "sample.jsonl", "--json").stdout)
    assert found["absent"] == [{"field": "text", "lfs": ["pills", "asks"]}]


def test_a_wrong_text_column_of_a_stream_is_named_by_its_path(files: Path) -> None:
    write_jsonl(files / "records.jsonl", [record(0, "free"), record(1, "thanks")])
    stream = write_stream(files, record={"text": "bdy"})
    shown = " ".join(run(str(stream)).stdout.split())
    said = (
        "field 'bdy' (record.text) is in none of the 2 records, so 3 LFs fail; the records have: "
        "id, timestamp, text"
    )
    assert shown.count(said) == 1


@pytest.mark.usefixtures("files")
def test_scripts_get_one_object() -> None:
    found = json.loads(run("probes.yaml", "--sample", "sample.jsonl", "--json").stdout)
    assert list(found) == [
        "id", "classes", "records", "unreadable", "lfs", "slices", "failing", "absent", "warnings",
    ]  # fmt: skip
    pills: dict[str, Any] = found["lfs"][0]
    assert pills["sample"].pop("microseconds") > 0
    assert pills == {
        "name": "pills",
        "matches": "text holds “pills”, in any case",
        "labels": ["SPAM"],
        "runs_as": "template",
        "why": None,
        "sample": {
            "labels": ["SPAM"], "coverage": 1 / 3, "overlaps": 0, "conflicts": 0, "errors": 0,
        },
    }  # fmt: skip
    assert (found["records"], found["unreadable"]) == (3, 1)
    assert [(one["name"], one["kind"]) for one in found["warnings"]] == [("[b]links", "fails")]
    without = json.loads(run("probes.yaml", "--json").stdout)
    assert without["records"] is None
    assert without["lfs"][0]["sample"] is None


@pytest.mark.usefixtures("files")
def test_strict_makes_of_a_warning_an_exit_code() -> None:
    assert run("probes.yaml", "--strict").exit_code == 0
    assert run("probes.yaml", "--strict", "--sample", "sample.jsonl").exit_code == 1


def test_a_prediction_on_every_record_is_a_note_and_no_warning(files: Path) -> None:
    """It is meant to vote always; what that costs is worth a word."""
    keys = "classes: [HAM, SPAM]\nprobes:\n  - {name: model, prediction: {field: said}}\n"
    rest = "  - {name: short, label: HAM, length: {below: 3}}\n"
    (files / "predicting.yaml").write_text(keys + rest, encoding="utf-8")
    records = '{"text": "aaaa", "said": "SPAM"}\n{"text": "a", "said": "HAM"}\n'
    (files / "said.jsonl").write_text(records, encoding="utf-8")
    done = run("predicting.yaml", "--sample", "said.jsonl", "--strict")
    assert done.exit_code == 0, done.output
    said = " ".join(done.stdout.split())
    assert "note: model is the deployed model and votes on every record of the sample" in said
    assert "so the blind spot stays empty" in said
    (files / "predicting.yaml").write_text(
        (keys + rest).replace("prediction", "external"), encoding="utf-8"
    )
    done = run("predicting.yaml", "--sample", "said.jsonl", "--strict")
    assert done.exit_code == 1
    assert "warning: model fires on every record of the sample, so the blind spot is empty" in (
        " ".join(done.stdout.split())
    )


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("gone.jsonl", None, "sample file gone.jsonl does not exist: give --sample"),
        (
            "empty.jsonl",
            "",
            r"cannot read any record .*\(it is empty\): write one JSON object per line",
        ),
        (
            "words.jsonl",
            "one two\n",
            r"cannot read any record .*\(.+\): write one JSON object per line",
        ),
    ],
)
def test_a_sample_without_records_says_what_to_do(
    files: Path, name: str, content: str | None, says: str
) -> None:
    if content is not None:
        (files / name).write_text(content, encoding="utf-8")
    result = run("probes.yaml", "--sample", name)
    assert isinstance(result.exception, SettingsError)
    with pytest.raises(SettingsError, match=says):
        raise result.exception


@pytest.mark.parametrize(
    ("reference", "content", "says"),
    [
        ("gone.yaml", None, "cannot read the ProbeSet .*gone.yaml.*check the path"),
        ("bad.yaml", "a: [", "bad.yaml, line 2, column 1: not valid YAML"),
        (
            "gone_module:LFS",
            None,
            "cannot import 'gone_module'.*run this where the module can be imported",
        ),
        ("wrong_syntax:LFS", "LFS = [", "cannot import 'wrong_syntax': SyntaxError.*correct the"),
        (
            "lacks_package:LFS",
            "import no_such_package",
            "cannot import 'lacks_package'.*install 'no_such_package', which the module imports",
        ),
        ("lacks_name:LFS", "from os import no_such_name", "ImportError.*; correct the module"),
    ],
)
def test_a_bad_probe_set_says_what_to_do(
    files: Path, reference: str, content: str | None, says: str
) -> None:
    if content is not None:
        name = reference.replace(":LFS", ".py")
        (files / name).write_text(content, encoding="utf-8")
    result = run(reference)
    assert isinstance(result.exception, ProbeError)
    with pytest.raises(ProbeError, match=f"(?s){says}"):
        raise result.exception
