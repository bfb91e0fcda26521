"""Commands: what cannot exist is an error, and what people wrote is printed as it is."""

from __future__ import annotations

import importlib
import io
import json
import re
import shutil
import socket
import sys
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from rich.table import Table
from typer.testing import CliRunner, Result

from tests.alerts.builders import fired, shifted
from tests.service import transactions
from tests.service.streams_for_tests import PROBES, START, record, write_jsonl, write_stream
from tidegauge_alerts.errors import ReceiverError
from tidegauge_alerts.receivers import LogReceiver, WebhookReceiver
from tidegauge_alerts.transports.preflight import check_receiver
from tidegauge_probes.errors import TidegaugeError
from tidegauge_service.api.auth import TokenAuth
from tidegauge_service.cli.console import terminal
from tidegauge_service.cli.console.terminal import LiteralConsole, printable, styled
from tidegauge_service.cli.main import app, main
from tidegauge_service.clock import to_iso
from tidegauge_service.errors import AddressUnusable, SettingsError, StoreError
from tidegauge_service.runtime.listener import bind, link, listen
from tidegauge_service.store import candidates, schema, streams
from tidegauge_service.store.alerting import alerts
from tidegauge_service.store.candidates import Candidate, CandidateReason
from tidegauge_service.store.engine import Database
from tidegauge_service.store.ingest import decisions
from tidegauge_service.store.ingest.gap import Gap, GapCause

SECRET = "hunter2-hunter2"
MAIN = sys.modules["tidegauge_service.cli.main"]


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Watch a stream to its end; return the folder, with its database."""
    made = tmp_path_factory.mktemp("watched")
    write_jsonl(made / "records.jsonl", [record(n, "free pills") for n in range(20)])
    write_stream(made)
    database = {"TIDEGAUGE_DATABASE": f"sqlite:///{made}/t.db"}
    done = CliRunner(env=database).invoke(app, ["run", str(made / "stream.yaml"), "--drain"])
    assert done.exit_code == 0, done.output
    return made


@pytest.fixture
def folder(watched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a copy of that folder, and work in it."""
    shutil.copytree(watched, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TIDEGAUGE_DATABASE", f"sqlite:///{tmp_path}/t.db")
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def refused(*arguments: str) -> str:
    result = run(*arguments)
    assert result.exit_code != 0, result.output
    return f"{result.output}{result.exception}"


# -- What cannot exist ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            "candidates export --stream nope",
            "there is no stream 'nope' in this database; streams: ",
        ),
        (
            "candidates export --reason blindspot",
            "--reason: unknown value 'blindspot'; did you mean 'blind_spot'?",
        ),
        (
            "candidates export tickets",
            "Unexpected argument 'tickets'. Did you mean `--stream tickets`?",
        ),
        ("candidates export csv", "Did you mean `--format csv`?"),
        ("candidates export --format cvs", "did you mean 'csv'?"),
        ("candidates export nope", "--stream nope"),
        ("candidates export --lf mentions_fre", "did you mean 'mentions_free'?"),
        ("candidates export --segment a=b", "no evaluated window has the segment 'a=b'"),
        ("candidates export --state nope", "proposed"),
        ("candidates export --limit 0", "greater than or equal to 1"),
        ("candidates export --alert nope", "there is no alert 'nope'"),
        ("candidates export --since 2026-01-02 --until 2026-01-01", "must be before --until"),
        ("candidates export --since 2026-01-01 --until 2026-01-01", "must be before --until"),
        ("dead-letters list test --reason not_jsn", "not_json"),
        ("dead-letters drop test --reason not_jsn", "not_json"),
        ("dead-letters replay stream.yaml --reason not_jsn", "not_json"),
        ("dead-letters list nope", "there is no stream 'nope'"),
        ("dead-letters show nope 0 0", "there is no stream 'nope'"),
        ("streams gaps nope", "there is no stream 'nope'"),
        ("streams accept-gap test --partition 99", "no gap"),
        ("probes list nope", "there is no stream 'nope'"),
        ("probes diff --stream nope", "there is no stream 'nope'"),
        ("probes release test nope", "is not quarantined"),
        ("baseline show nope", "nope"),
        ("baseline accept nope", "there is no stream 'nope'"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_what_cannot_exist_is_an_error(arguments: str, says: str) -> None:
    assert says in refused(*arguments.split())


def test_an_export_can_be_filtered_as_in_the_api(folder: Path) -> None:
    database = Database(f"sqlite:///{folder}/t.db")
    with database.write() as connection:
        candidates.propose(connection, 1, [_candidate(0), _candidate(1, "short")], START)
        candidates.propose(connection, 1, [_candidate(2), _candidate(3, "short")], START)
    database.close()

    def exported(*more: str) -> list[str]:
        lines = run("candidates", "export", *more).stdout.splitlines()
        return [json.loads(line)["record_id"] for line in lines]

    assert len(exported()) == 4
    assert exported("--lf", "short") == ["r1", "r3"]
    assert exported("--lf", "short", "--limit", "1") == ["r1"]
    assert len(exported("--state", "proposed")) == 4


def _candidate(n: int, lf: str = "mentions_free") -> Candidate:
    key = (f"c{n}", "test", START, 0, n, f"r{n}", START)
    why = CandidateReason("uniform", "alert-1", 0.5)
    return Candidate(*key, {}, {lf: "SPAM"}, (), "proposed", "p", "b", (why,))


@pytest.mark.usefixtures("folder")
def test_a_stream_is_named_by_its_name_or_its_file() -> None:
    for named in ("test", "stream.yaml"):
        assert run("candidates", "export", "--stream", named).exit_code == 0


# -- probes check -----------------------------------------------------------------------------


def test_a_stream_file_is_checked_on_its_own_records(folder: Path) -> None:
    found = json.loads(run("probes", "check", "stream.yaml", "--json").stdout)
    assert (found["records"], found["unreadable"]) == (20, 0)
    free = next(lf for lf in found["lfs"] if lf["name"] == "mentions_free")
    assert free["sample"]["coverage"] == 1
    write_jsonl(folder / "records.jsonl", [record(1, "thanks"), b"no record"])
    found = json.loads(run("probes", "check", "stream.yaml", "--json").stdout)
    assert (found["records"], found["unreadable"]) == (1, 1)


def test_the_mapping_of_the_stream_holds_for_its_records_and_a_sample(folder: Path) -> None:
    rows = [{"key": n, "at": "2026-01-01", "body": "free"} for n in range(3)]
    write_jsonl(folder / "other.jsonl", rows)
    mapping = {"id": "key", "timestamp": "at", "text": "body"}
    write_stream(folder, record=mapping, source={"kind": "file", "path": "oth*.jsonl"})
    for more in ([], ["--sample", "other.jsonl"]):
        found = json.loads(run("probes", "check", "stream.yaml", *more, "--json").stdout)
        assert found["records"] == 3
        assert found["lfs"][0]["sample"]["coverage"] == 1


def test_a_stream_of_kafka_is_checked_without_a_sample(folder: Path) -> None:
    write_stream(folder, source={"kind": "kafka", "bootstrap": "127.0.0.1:1", "topic": "t"})
    found = json.loads(run("probes", "check", "stream.yaml", "--json").stdout)
    assert (found["records"], len(found["lfs"])) == (None, 3)


def test_a_stream_without_records_says_what_to_check(folder: Path) -> None:
    write_jsonl(folder / "records.jsonl", [b"no record"])
    assert "check `record` in the stream file" in refused("probes", "check", "stream.yaml")
    (folder / "stream.yaml").write_text("source: {kind: file}\nprobes: x:Y\n")
    assert "stream.yaml is not valid" in refused("probes", "check", "stream.yaml")


# -- doctor -----------------------------------------------------------------------------------


def settings(folder: Path, receivers: dict[str, Any]) -> None:
    (folder / "tidegauge.yaml").write_text(json.dumps({"receivers": receivers}))


def notification(folder: Path, number: int, state: str, error: str | None) -> None:
    database = Database(f"sqlite:///{folder}/t.db")
    row = {
        "stream_id": 1, "receiver": "ops", "dedup_key": f"k{number}", "message": "{}",
        "state": state, "attempts": 1, "due_ms": 1, "lease_ms": 0, "created_ms": 1, "error": error,
    }  # fmt: skip
    with database.write() as connection:
        connection.execute(sa.insert(schema.notification), row)
    database.close()


def test_doctor_refuses_a_receiver_that_is_refused_when_a_message_is_sent(folder: Path) -> None:
    hook = {"kind": "webhook", "url": f"http://127.0.0.1:9/{SECRET}"}
    settings(folder, {"ops": hook, "log": {"kind": "log"}})
    said = run("doctor").output
    assert "✗ receiver ops: " in said
    assert "127.0.0.1 is private, so every message will be refused" in said
    assert "✓ receiver log: log" in said
    assert SECRET not in said
    settings(folder, {"ops": {**hook, "allow_private": True}})
    assert "✓ receiver ops: webhook at http://127.0.0.1:9" in run("doctor").output


def test_doctor_tells_of_messages_that_failed_until_one_is_taken(folder: Path) -> None:
    hook = {"kind": "webhook", "url": "http://127.0.0.1:9/", "allow_private": True}
    settings(folder, {"ops": hook})
    for n in range(23):
        notification(folder, n, "failed", f"it answered 410 Gone ({n})")
    notification(folder, 23, "waiting", "no answer within 10 s")
    said = run("doctor").output
    assert (
        "✗ receiver ops: messages since the last successful delivery: 23 failed for good and will "
        "not be sent again, 1 will be retried"
    ) in said
    assert "Latest error: no answer within 10 s" in said
    notification(folder, 24, "sent", None)
    assert "✓ receiver ops" in run("doctor").output


def test_doctor_does_not_promise_to_retry_what_failed(folder: Path) -> None:
    settings(folder, {"ops": {"kind": "log"}})
    notification(folder, 0, "failed", "its address is private")
    said = run("doctor").output
    assert "1 failed for good and will not be sent again, none is waiting" in said
    assert "passes again after the next successful delivery. Latest error: its address" in said


def test_doctor_names_a_receiver_that_a_stream_lacks(folder: Path) -> None:
    write_stream(folder, alerts={"receivers": ["oops"]})
    said = run("doctor", "stream.yaml").output
    assert "✗ stream.yaml: receivers: " in said
    assert "names receiver 'oops', which the settings do not define" in said


def test_doctor_reads_the_first_records_before_a_first_run(folder: Path) -> None:
    rows = "".join(f"r{n},{1_600_000_000 + n},free,web\n" for n in range(150))
    (folder / "records.csv").write_text(f"key,at,body,channel\n{rows}")
    source = {"kind": "file", "path": "records.csv"}
    good = {"id": "key", "timestamp": "at", "text": "body"}
    write_stream(folder, name="first", source=source, record=good, segment_by=["channel"])
    said = run("doctor", "stream.yaml").output
    assert "✓ stream.yaml: fields: 100 records read; they have: key, at, body, channel" in said
    assert "✓ stream.yaml: source: file, 1 partition, csv" in said
    assert "json" not in said

    write_stream(folder, source=source, record={**good, "text": "bdy"}, segment_by=["chanel"])
    said = " ".join(run("doctor", "stream.yaml").output.split())
    assert (
        "✗ stream.yaml: fields: record.text: 'bdy' is in none of the first 100 records; "
        "segment_by: 'chanel' is in none of the first 100 records. "
        "The records have: key, at, body, channel. Correct stream.yaml"
    ) in said


def test_lists_keep_ids_and_times_whole_in_80_columns(folder: Path) -> None:
    database = Database(f"sqlite:///{folder}/t.db")
    stream = transactions.read(database, streams.find, "test")
    assert stream is not None
    with database.write() as connection:
        gap = Gap(0, GapCause.PARTITION_ADDED, 123_456_789, 987_654_321, 864_197_532, None)
        decisions.record(connection, stream, gap, by="me", now_ms=START)
    database.close()
    fit = ("baseline", "fit", "stream.yaml", "--records", "records.jsonl", "--json", "--name")
    fitted = json.loads(run(*fit, "a name that is longer than any column of the table").output)
    wanted = {
        ("streams", "gaps", "test"): ("123456789", "987654321", "864197532", to_iso(START)),
        ("baseline", "list"): (fitted["id"], fitted["probe_set"]),
    }
    for command, whole in wanted.items():
        said = run(*command).output
        assert max(map(len, said.splitlines())) <= 80
        assert [one for one in whole if one not in said] == []
    assert re.search(r"\d{4}-\d\d-\d\dT[\d:.]+Z", run("baseline", "list").output)


@pytest.mark.parametrize(("waits", "mark"), [(False, "✓"), (True, "✗")])
def test_doctor_tells_of_gaps(folder: Path, mark: str, *, waits: bool) -> None:
    database = Database(f"sqlite:///{folder}/t.db")
    stream = transactions.read(database, streams.find, "test")
    assert stream is not None
    gap = Gap(0, GapCause.REWRITTEN, 3, 7, 4, None)
    with database.write() as connection:
        if waits:
            decisions.ask(connection, stream, gap, 1)
        else:
            decisions.record(connection, stream, gap, by="me", now_ms=1)
    database.close()
    said = next(line for line in run("doctor", "stream.yaml").output.splitlines() if "gaps" in line)
    assert said.startswith(f"{mark} stream.yaml: gaps: ")
    assert "`tidegauge streams gaps test`" in said
    assert ("1, with 4 inputs never read" in said) is not waits


def test_doctor_notes_an_lf_that_fails_on_a_few_records(folder: Path) -> None:
    records = [record(n, "free", ms=START + n * 60_000) for n in range(200)]
    for one in records[::12]:
        del one["text"]
    write_jsonl(folder / "few.jsonl", records)
    write_stream(folder, name="few", source={"kind": "file", "path": "few.jsonl"})
    assert run("run", "stream.yaml", "--drain").exit_code == 0
    lines = run("doctor", "stream.yaml").output.splitlines()
    said = next(line for line in lines if "LF failures" in line)
    assert said.startswith("✓")
    assert "LF failures: in the newest windows: 'mentions_free' on 8.5 %, " in said
    assert "`tidegauge probes check stream.yaml` says why" in said


def test_doctor_refuses_what_run_refuses_in_the_same_words(folder: Path) -> None:
    changed = {"classes": ["HAM", "SPAM"], "probes": [PROBES["probes"][0]]}
    wrong: dict[str, dict[str, Any]] = {
        "source": {"source": {"kind": "demo"}},
        "LFs": {"probes": changed},
    }
    for check, change in wrong.items():
        write_stream(folder, **change)
        why = str(run("replay", "stream.yaml", "--database", f"sqlite:///{folder}/t.db").exception)
        assert "stream 'test'" in why
        said = " ".join(run("doctor", "stream.yaml").output.split())
        assert f"✗ stream.yaml: {check}: {why}" in said


def test_doctor_counts_firing_alerts_and_does_not_call_that_a_fault(folder: Path) -> None:
    assert "✓ stream.yaml: alerts: none is firing" in run("doctor", "stream.yaml").output
    database = Database(f"sqlite:///{folder}/t.db")
    [found] = fired(shifted(0.02)).alerts
    with database.write() as connection:
        alerts.save(connection, 1, [found], [])
        connection.execute(sa.update(schema.stream).values(blind="[]"))  # it sees everything
    database.close()
    said = run("doctor", "stream.yaml").output
    assert "✓ stream.yaml: LF failures: none" in said
    assert "✓ stream.yaml: alerts: 1 firing: to see them, `tidegauge run stream.yaml`" in said


def test_doctor_tells_of_a_file_that_cannot_be_read_once(folder: Path) -> None:
    write_stream(folder, window=3600)
    said = run("doctor", "stream.yaml").output
    assert said.count("'3600' has no unit") == 1


def test_a_receiver_is_checked_by_every_address_of_its_host() -> None:
    hook = WebhookReceiver("ops", "https://hooks.example.com/x")
    assert check_receiver(LogReceiver("log")) == "log"
    assert check_receiver(hook, lambda *_: ["93.184.215.14"]) == (
        "webhook at https://hooks.example.com"
    )
    with pytest.raises(ReceiverError, match=r"10\.0\.0\.1 is private"):
        check_receiver(hook, lambda *_: ["93.184.215.14", "10.0.0.1"])

    def nowhere(_host: str, _port: int) -> list[str]:
        raise OSError

    with pytest.raises(ReceiverError, match="cannot be resolved"):
        check_receiver(hook, nowhere)


# -- The port ---------------------------------------------------------------------------------


def test_a_port_that_is_taken_is_told_before_anything_is_started_or_printed(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run("run", "stream.yaml", "--port", str(port))
        demo = run("demo", "--port", str(port))
    for found in (result, demo):
        assert isinstance(found.exception, AddressUnusable)
        assert found.exception.exit_code == 6
        assert f"cannot listen on 127.0.0.1:{port}" in str(found.exception)
        assert "login" not in found.output
    assert not (folder / "tidegauge.db").exists()


@pytest.mark.parametrize("host", ["192.0.2.1", "no such host", "a" * 70 + ".example"])
def test_an_address_that_is_not_of_this_machine_says_what_to_change(host: str) -> None:
    with pytest.raises(AddressUnusable, match=r"cannot listen on .*(--host|--port)"):
        bind(host, 0)


def test_of_two_that_bind_one_port_the_second_is_told() -> None:
    with bind("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with bind("127.0.0.1", port) as second:  # SO_REUSEADDR lets both
            listen(first)
            with pytest.raises(AddressUnusable, match=f"cannot listen on 127.0.0.1:{port}"):
                listen(second)


@pytest.mark.parametrize(
    ("host", "shown"),
    [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("localhost", "")],  # noqa: S104
)
def test_the_link_has_the_port_that_was_taken(host: str, shown: str) -> None:
    with bind(host, 0) as bound:
        assert link(bound).startswith(f"http://{shown}")
        assert link(bound).endswith(f":{bound.getsockname()[1]}")
        assert bound.getsockname()[1] != 0


# -- Printing ---------------------------------------------------------------------------------

ODD = ["kinds:LOOP:", "[red]x[/red]", "[/]", ":smile:", "[link=http://x]y[/link]", "a[0]", "\\[b]"]


@pytest.mark.parametrize("text", ODD)
def test_what_people_wrote_is_printed_as_it_is(text: str) -> None:
    shown = io.StringIO()
    console = LiteralConsole(file=shown, width=200)
    table = Table(text)
    table.add_row(text)
    console.print(text)
    console.print(styled("error:", "red"), text)
    console.print(table)
    assert shown.getvalue().count(text) == 4


def test_control_characters_do_not_reach_the_terminal() -> None:
    assert printable("a\x1b[31mb\r\x07c") == r"a\x1b[31mb\r\x07c"
    assert printable("one\ttwo\nthree é 😀 👩‍🚀") == "one\ttwo\nthree é 😀 👩‍🚀"
    assert printable("\u202egnp.exe \ud800") == r"\u202egnp.exe \ud800"
    shown = io.StringIO()
    LiteralConsole(file=shown, width=200, force_terminal=True).print("x\x1b[2J")
    assert "\x1b[2J" not in shown.getvalue()


@pytest.mark.parametrize("text", ODD)
def test_errors_are_printed_as_they_are(
    text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise SettingsError(text)

    monkeypatch.setattr(MAIN, "app", fail)
    shown = io.StringIO()
    monkeypatch.setattr(terminal, "err", LiteralConsole(file=shown, width=200))
    with pytest.raises(SystemExit):
        main()
    assert shown.getvalue() == f"error: {text}\n"


def test_the_address_names_where_the_token_is() -> None:
    named = importlib.import_module("tidegauge_service.cli.run")._token_name
    assert named({"TIDEGAUGE_TOKEN": "x"}) == "TIDEGAUGE_TOKEN"
    assert named({}) == "`token` (settings file)"


def test_names_of_lfs_and_streams_are_printed_as_they_are(folder: Path) -> None:
    name = "kinds:LOOP:[red]"
    probes = {
        "classes": ["A", "B"],
        "probes": [{"name": name, "label": "A", "keyword": {"any": ["x"]}}],
    }
    write_stream(folder, probes)
    assert f"{name} → A" in run("probes", "check", "stream.yaml").output
    assert "'[red]:LOOP:'" in refused("streams", "gaps", "[red]:LOOP:")


# -- Secrets of the database ------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:pa@hunter2-hunter2@127.0.0.1:1/x",
        "postgresql://me:@hunter2-hunter2@127.0.0.1:1/x",
        "postgresql://me:pa@hunter2-hunter2/x@127.0.0.1:1/y",
        "postgresql://me:pa@hunter2-hunter2?x@127.0.0.1:1/y",
        "postgresql://me:pa@b:hunter2-hunter2@127.0.0.1:1/x",
        "postgresql://me:hunter2-hunter2@127.0.0.1:1/x",
        "postgresql://me:hunter2-hunter2@127.0.0.1:x/x",
        "postgresql://127.0.0.1:1/x?password=hunter2-hunter2",
        "postgresql://127.0.0.1:1/x?passfile=hunter2-hunter2",
        "postgres//me:hunter2-hunter2@h",
        "mysql://me:hunter2-hunter2@h/x",
        "postgresql+nope://me:hunter2-hunter2@h/x",
    ],
)
def test_no_error_of_the_database_shows_a_password(url: str) -> None:
    with pytest.raises((SettingsError, StoreError)) as caught:
        Database(url).require_current()
    assert "hunter2" not in str(caught.value)
    if url.count("@") > 1:
        assert "for @" in str(caught.value)


def test_values_of_statements_stay_out_of_errors(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/x.db")
    with pytest.raises(Exception, match="no such table") as caught, database.write() as connection:
        connection.execute(sa.text("INSERT INTO nope VALUES (:a)"), {"a": SECRET})
    error: BaseException | None = caught.value
    while error is not None:
        assert SECRET not in str(error)
        error = error.__cause__
    database.close()


# -- The token --------------------------------------------------------------------------------


@pytest.mark.parametrize("sent", ["", "ä", "\ud800", "\x00", "ÿ" * 9_000, "Bearer", "Bearer  "])
def test_comparing_a_token_never_raises(sent: str) -> None:
    gate = TokenAuth("a-token-of-the-tests")
    assert not gate.accepts(sent)
    assert not gate.opens_for(f"Bearer {sent}", sent)
    assert not gate.opens_for(sent, None)
    assert gate.opens_for(None, "a-token-of-the-tests")
    assert isinstance(SettingsError("x"), TidegaugeError)


def test_doctor_refuses_a_baseline_that_run_refuses(folder: Path) -> None:
    write_stream(folder, name="new", baseline={"name": "foo"})
    run("baseline", "fit", "stream.yaml", "--name", "t1", "--records", "records.jsonl")
    other = {"classes": ["HAM", "SPAM"], "probes": [PROBES["probes"][0]]}
    wrong: dict[str, dict[str, Any]] = {
        "there is no baseline 'foo'": {"baseline": {"name": "foo"}},
        "belongs to ProbeSet": {"baseline": {"name": "t1"}, "probes": other},
        "class balance": {
            "baseline": {"from": to_iso(START), "until": "2030-01-01", "balance": {"X": 1.0}}
        },
    }
    for n, (expected, change) in enumerate(wrong.items()):
        write_stream(folder, name=f"new-{n}", **change)
        why = str(run("replay", "stream.yaml").exception)
        assert expected in why
        said = " ".join(run("doctor", "stream.yaml").output.split())
        assert f"✗ stream.yaml: baseline: {' '.join(why.split())}" in said


def test_doctor_accepts_baselines_that_there_are(folder: Path) -> None:
    said = run("doctor", "stream.yaml").output
    assert "✓ stream.yaml: baseline: the stream's own windows, 2020-09-13T12:00:00Z to" in said
    run("baseline", "fit", "stream.yaml", "--name", "t1", "--records", "records.jsonl")
    write_stream(folder, name="new", baseline={"name": "t1"})
    assert "✓ stream.yaml: baseline: t1" in run("doctor", "stream.yaml").output
    run("run", "stream.yaml", "--drain")
    assert ", which the stream is compared with" in run("doctor", "stream.yaml").output
    write_stream(folder, name="new2", baseline={"path": "records.jsonl"})
    assert "✓ stream.yaml: baseline: fitted from" in run("doctor", "stream.yaml").output
    write_stream(folder, name="new2", baseline={"path": "none.jsonl"})
    said = " ".join(run("doctor", "stream.yaml").output.split())
    assert "none.jsonl does not exist: check baseline.path in stream.yaml" in said


@pytest.mark.parametrize("when", ["within", "before"])
def test_a_run_that_compares_no_window_says_so_and_why(folder: Path, when: str) -> None:
    """Without an alert it would look like a stream in which nothing has shifted."""
    if when == "before":
        later = {"from": to_iso(START + 10**10), "until": to_iso(START + 2 * 10**10)}
        later = {k: v[:10] for k, v in later.items()}
        write_stream(folder, name="early", baseline=later)
    drained = run("run", "stream.yaml", "--drain").output
    replayed = run("replay", "stream.yaml").output
    checked = run("doctor", "stream.yaml").output
    for said in (drained, replayed, checked):
        words = " ".join(said.split())
        assert "no window is compared, so no alert can be raised" in words
        assert "the newest closed window ends at 2020-09-13T16:00:00Z" in words
        assert ("before the range begins" in words) is (when == "before")
    assert json.loads(run("replay", "stream.yaml", "--json").output)["compared"] == 0


def test_a_run_that_compares_windows_does_not_say_that_it_does_not(folder: Path) -> None:
    first = {"from": to_iso(START), "until": to_iso(START + 2 * 3_600_000)}
    write_stream(folder, name="compared", baseline=first)
    assert "no window is compared" not in run("run", "stream.yaml", "--drain").output
    assert "no window is compared" not in run("replay", "stream.yaml").output
    assert "✓ stream.yaml: comparison: OK" in run("doctor", "stream.yaml").output
    assert json.loads(run("replay", "stream.yaml", "--json").stdout)["compared"] == 2


def test_a_file_sorted_newest_first_is_called_that(folder: Path) -> None:
    records = [record(n, "free pills") for n in range(200)]
    write_jsonl(folder / "records.jsonl", reversed(records))
    first = {"from": to_iso(START), "until": to_iso(START + 6 * 3_600_000)}
    write_stream(folder, name="tac", baseline=first)
    for command in (("replay", "stream.yaml"), ("run", "stream.yaml", "--drain")):
        why = str(run(*command).exception)
        assert "all 36 records of stream 'tac' from 2020-09-13T12:00:00Z" in why
        assert "were late" in why
        assert "sort files by time" in why
    said = " ".join(run("doctor", "stream.yaml").output.split())
    assert "✗ stream.yaml: order: the first records are sorted newest first" in said


def test_doctor_finds_nothing_wrong_with_records_that_are_a_little_out_of_order(
    folder: Path,
) -> None:
    records = [record(n + 2 * (n % 2), "free pills") for n in range(200)]
    write_jsonl(folder / "records.jsonl", records)
    assert "✓ stream.yaml: order: OK" in run("doctor", "stream.yaml").output


def test_two_stream_files_with_one_name_are_refused(folder: Path) -> None:
    """Their workers would count into the same windows, under the same names."""
    shutil.copy("stream.yaml", "copy.yaml")
    for files in (("stream.yaml", "copy.yaml"), ("stream.yaml", "stream.yaml")):
        result = run("run", *files, "--drain")
        assert isinstance(result.exception, SettingsError)
        assert "both have the name 'test'" in str(result.exception)
        assert "use --workers" in str(result.exception)
    said = " ".join(run("doctor", "stream.yaml", "copy.yaml").output.split())
    assert "✗ stream names:" in said
    write_stream(folder, name="other")
    assert "✓ stream names: OK" in run("doctor", "stream.yaml", "copy.yaml").output
