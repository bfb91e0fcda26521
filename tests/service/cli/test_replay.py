"""What ``tidegauge replay`` prints of the alerts it found."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.alerts.builders import HOUR_MS, NOON_MS, fired, quiet, run, shifted
from tests.service.streams_for_tests import HOUR, START, record, write_jsonl, write_stream
from tidegauge_service.cli import replay
from tidegauge_service.cli.console.terminal import LiteralConsole
from tidegauge_service.cli.main import app
from tidegauge_service.clock import to_iso
from tidegauge_service.errors import NoWorkingLf
from tidegauge_service.store.alerting.alert_fields import fields_of

SUMMARY: dict[str, object] = {
    "records": 10, "windows": 5, "late": 0, "dead_letters": 0, "dead_letter_reasons": {},
    "seconds": 1.0, "records_per_second": 10, "candidates": 0,
}  # fmt: skip
[SUMMED] = fired(shifted(0.079, scale=5, share=0.02)).alerts


def shown(monkeypatch: pytest.MonkeyPatch, *alerts: object, **changes: object) -> str:
    written = io.StringIO()
    monkeypatch.setattr(replay, "out", LiteralConsole(file=written, width=80, soft_wrap=True))
    replay._show(SUMMARY | changes, list(alerts), "file")  # type: ignore[arg-type]
    return written.getvalue()


def test_a_table_of_80_columns_keeps_its_dates_and_says_what_was_compared(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = shown(monkeypatch, SUMMED)
    assert max(map(len, said.splitlines()[1:-1])) <= 80
    assert "2020-03-15T12:00" in said
    assert "opened (UTC)" in said
    assert "resolved (UTC)" in said
    words = " ".join(said.replace("│", " ").split())
    assert "8 % → 2 % over the last 5 windows" in words
    assert "7.9" not in words, "the last window alone looks like the baseline"


def test_what_has_settled_and_what_has_reopened_is_marked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settled = run([shifted(0.2)] * 64).alert
    again = run([quiet(), shifted(0.004), *[quiet()] * 4, shifted(0.004)]).alert
    said = " ".join(shown(monkeypatch, settled, again).replace("│", " ").split())
    assert "2020-03-15T12:00 settled Coverage of LF 'check_out' has settled at 20 %" in said
    assert "(spike, critical, reopened once)" in said
    assert said.count("settled") == 2, "the other one is open"
    assert said.count("reopened") == 1


def test_dates_are_cut_to_the_minute_only_where_they_are_whole() -> None:
    assert replay._minute(NOON_MS + HOUR_MS) == "2020-03-15T13:00"
    assert replay._minute(NOON_MS + 30_000) == "2020-03-15T12:00:30Z"


def test_without_an_alert_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no alerts" in shown(monkeypatch)


def test_late_records_of_files_are_not_told_to_be_backfilled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = shown(monkeypatch, records=200, late=150)
    assert "use a new stream name or a new database" in said
    assert "sort files by time" in said
    assert "backfill" not in said
    assert "silence_grace" not in said


def test_scripts_get_the_figures_of_the_sum() -> None:
    row = fields_of(SUMMED)
    assert (row["observed"], row["scale"], row["share"]) == (0.079, 5, 0.02)
    [alone] = fired(shifted(0.02)).alerts
    assert (fields_of(alone)["scale"], fields_of(alone)["observed"]) == (1, 0.02)


# -- What the stream cannot see ---------------------------------------------------------------


def test_a_replay_whose_lfs_all_fail_says_why_at_its_end_and_exits_with_4(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "records.jsonl", [record(n, "free pills") for n in range(300)])
    wrong = {"id": "id", "timestamp": "timestamp", "text": "bdy"}
    path = str(write_stream(tmp_path, record=wrong, segment_by=["chanel"]))
    result = CliRunner().invoke(app, ["replay", path])
    assert isinstance(result.exception, NoWorkingLf)
    assert result.exception.exit_code == 4
    assert "every LF failed on every record" in str(result.exception)
    *_, title, failing, segments, fields = result.stdout.splitlines()
    assert title == "the stream is blind, so drift may go undetected:"
    assert failing.startswith("  3 LFs ('mentions_free', 'thanks', 'short') fail on 100 %")
    assert "'chanel' (`segment_by`)" in segments
    assert fields == "  The records have: id, timestamp, text"


def test_scripts_get_what_the_stream_cannot_see(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "records.jsonl", [record(n, "free pills") for n in range(300)])
    path = str(write_stream(tmp_path, segment_by=["chanel"]))
    result = CliRunner().invoke(app, ["replay", path, "--json"])
    assert result.exit_code == 0, "the LFs work, so alerts can be raised"
    [found] = json.loads(result.stdout)["blind"]
    assert (found["cause"], found["share"]) == ("no_segments", 1.0)
    assert "'chanel'" in found["text"]


def test_lfs_that_worked_on_one_record_are_no_reason_to_fail(tmp_path: Path) -> None:
    rows = [{k: v for k, v in record(n, "").items() if k != "text"} for n in range(1, 300)]
    write_jsonl(tmp_path / "records.jsonl", [record(0, "free pills"), *rows])
    result = CliRunner().invoke(app, ["replay", str(write_stream(tmp_path))])
    assert result.exit_code == 0
    assert "3 LFs ('mentions_free', 'thanks', 'short') fail on 100 %" in result.stdout


SOME_FAIL = """
from tidegauge_probes import labeling_function

@labeling_function()
def spam(x):
    return 1 if "free" in x.body else 0

@labeling_function()
def of_four(x):
    n = int(x.id[1:])
    return n % 4 if n % 10 == 2 else -1

LFS = [spam, of_four]
"""


def replayed(folder: Path, *arguments: str, **changes: object) -> tuple[str, str]:
    rows = [{**record(n, "free"), "body": "free"} for n in range(300)]
    write_jsonl(folder / "records.jsonl", rows)
    (folder / "lfs.py").write_text(SOME_FAIL)
    path = str(write_stream(folder, "lfs:LFS", **changes))
    result = CliRunner().invoke(app, ["replay", path, *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout, result.stderr


def test_lfs_that_fail_on_some_records_are_named_with_the_reason(tmp_path: Path) -> None:
    """A bare list of LFs means two classes: votes of 2 and 3 are errors."""
    said, _ = replayed(tmp_path)
    [line] = [line for line in said.splitlines() if "of_four" in line]
    assert line.startswith("  'of_four' on 5 % (invalid_vote: returned 2")
    assert "spam" not in said
    said, warned = replayed(tmp_path, "--json")
    assert json.loads(said)["records"] == 300, "scripts get JSON alone"
    assert "'of_four' on 5 %" in warned


def test_lfs_that_fail_in_the_range_of_the_baseline_are_logged(tmp_path: Path) -> None:
    short = {"from": "2020-09-13T12:00Z", "until": "2020-09-14T12:00Z"}
    _, logged = replayed(tmp_path, baseline=short)
    [doubt] = [line for line in logged.splitlines() if "baseline_doubtful" in line]
    assert "LF of_four fails on" in doubt


def test_a_text_that_no_record_has_is_said_though_no_lf_reads_it(tmp_path: Path) -> None:
    mapped = {"id": "id", "timestamp": "timestamp", "text": "bdy"}
    said, _ = replayed(tmp_path, record=mapped)
    [line] = [line for line in said.splitlines() if "record.text" in line]
    assert line.startswith("record.text: 'bdy' is in none of the first 100 records. They have:")
    assert "record.text" not in replayed(tmp_path)[0]


def test_what_the_stream_cannot_see_is_said_once(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "records.jsonl", [record(n, "free pills") for n in range(300)])
    path = str(write_stream(tmp_path, segment_by=["chanel"]))
    result = CliRunner().invoke(app, ["replay", path])
    assert "stream is blind" in result.stdout
    assert "stream_blind" not in result.stderr


# -- Learning ---------------------------------------------------------------------------------


def learned(folder: Path, hours: int, until: int) -> str:
    """Replay some hours with a baseline of the first *until*; return what is said of learning."""
    rows = [record(n, "free", ms=START + n * HOUR // 4) for n in range(hours * 4)]
    write_jsonl(folder / "records.jsonl", rows)
    short = {"from": to_iso(START), "until": to_iso(START + until * HOUR)}
    result = CliRunner().invoke(app, ["replay", str(write_stream(folder, baseline=short))])
    assert result.exit_code == 0, result.output
    return next((line for line in result.stdout.splitlines() if "learning" in line), "")


def test_a_short_baseline_says_that_it_learned_until_when_and_from_how_much(
    tmp_path: Path,
) -> None:
    said = learned(tmp_path, 60, 3)
    assert "its baseline of 3 windows is too short (48 are needed" in said
    span = f"{to_iso(START + 3 * HOUR)} to {to_iso(START + 48 * HOUR)}"
    assert f"so 45 windows ({span}) could only show shifts" in said
    assert said.endswith("Learning then ended, with a baseline of 48 windows")


def test_learning_that_has_not_ended_is_said_to_go_on_and_a_long_baseline_says_nothing(
    tmp_path: Path,
) -> None:
    assert learned(tmp_path, 20, 3).endswith("Learning has not ended")
    assert learned(tmp_path, 60, 50) == ""


def test_a_stream_that_sees_everything_says_nothing_of_it(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "records.jsonl", [record(n, "free pills") for n in range(300)])
    path = str(write_stream(tmp_path))
    assert CliRunner().invoke(app, ["replay", path]).stdout.endswith(" candidates\n")
    assert json.loads(CliRunner().invoke(app, ["replay", path, "--json"]).stdout)["blind"] == []


def test_an_undefined_receiver_is_named_though_nothing_is_sent(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "records.jsonl", [record(n, "free pills") for n in range(3)])
    path = str(write_stream(tmp_path, alerts={"receivers": ["slack"]}))
    result = CliRunner().invoke(app, ["replay", path, "--json"])
    assert result.exit_code == 0
    assert "warning: `alerts.receivers` of stream 'test' names receiver 'slack'" in " ".join(
        result.stderr.split()
    )
    assert json.loads(result.stdout)["records"] == 3
