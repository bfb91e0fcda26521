"""What people get wrong: a clear message that says what to do, an exit code, nothing lost."""

from __future__ import annotations

import json
import resource
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.e2e.running import TIDEGAUGE, environment, last_json, tidegauge
from tests.servers.ports import free_port
from tests.servers.postgres import PostgresServer
from tests.service.streams_for_tests import HOUR, PROBES, START, record, write_jsonl, write_stream
from tidegauge_service.clock import to_iso


def replay(folder: Path, **changes: Any) -> dict[str, Any]:
    done = tidegauge("replay", write_stream(folder, **changes), "--json", cwd=folder)
    return dict(last_json(done.stdout))


def refused(folder: Path, *arguments: str | Path, exit_code: int, **settings: str) -> str:
    """Run a command that must fail in words, and return them on one line."""
    done = tidegauge(*arguments, cwd=folder, check=False, timeout=60, **settings)
    assert done.returncode == exit_code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert "error:" in done.stderr
    return " ".join(done.stderr.split())


GOOD = [record(n, "a free lunch for everyone here") for n in range(400)]


def test_inputs_that_are_no_records_are_kept_and_the_rest_goes_on(tmp_path: Path) -> None:
    huge = json.dumps(record(1, "x" * 10_000_000)).encode()
    bad: list[Any] = [
        b"not json",
        b"\xff\xfe\x00",
        b"[1, 2]",
        b'{"id": "nul", "timestamp": "2020-09-13", "text": "a\\u0000b"}',
        {"timestamp": to_iso(START), "text": "no id"},
        {"id": "no time", "text": "x"},
        {"id": "bad time", "timestamp": "soon", "text": "x"},
        {"id": "future", "timestamp": "2999-01-01T00:00:00Z", "text": "x"},
        {"id": "list", "timestamp": to_iso(START), "text": ["x"]},
        {"id": True, "timestamp": to_iso(START), "text": "x"},
        huge,
    ]
    write_jsonl(tmp_path / "records.jsonl", [*GOOD, *bad])
    found = replay(tmp_path)
    assert found["records"] == len(GOOD)
    assert found["dead_letters"] == len(bad)
    assert found["dead_letter_reasons"] == {
        "not_json": 1,
        "not_utf8": 1,
        "nul_byte": 1,
        "not_an_object": 1,
        "missing_id": 1,
        "missing_timestamp": 1,
        "bad_timestamp": 1,
        "future_timestamp": 1,
        "wrong_type": 2,
        "too_large": 1,
    }


def test_an_lf_that_fails_is_counted_as_failing(tmp_path: Path) -> None:
    (tmp_path / "my_lfs.py").write_text(
        "def raises(x):\n    raise KeyError('boom')\n"
        "def seven(x):\n    return 7\n"
        "def nothing(x):\n    return None\n"
        "def fine(x):\n    return 1\n"
        "LFS = [raises, seven, nothing, fine]\n"
    )
    write_jsonl(tmp_path / "records.jsonl", GOOD)
    url = f"sqlite:///{tmp_path}/out.db"
    baseline = {"from": to_iso(START), "until": to_iso(START + 50 * HOUR)}
    stream = write_stream(tmp_path, probes="my_lfs:LFS", baseline=baseline)
    tidegauge("replay", stream, "--json", "--database", url, cwd=tmp_path)
    with sqlite3.connect(tmp_path / "out.db") as database:
        rows = database.execute(
            "SELECT s.series, s.probe, sum(w.x), sum(w.n) FROM window_stat w "
            "JOIN series s ON s.id = w.series_id WHERE s.series IN ('error', 'coverage') "
            "GROUP BY 1, 2"
        ).fetchall()
    figures = {(series, probe): (x, n) for series, probe, x, n in rows}
    for name in ("raises", "seven", "nothing"):
        x, n = figures["error", name]
        assert x == n > 0
        assert ("coverage", name) not in figures, "no data is not coverage 0"
    assert figures["error", "fine"][0] == 0
    assert figures["coverage", "fine"][0] == figures["coverage", "fine"][1]


def test_an_empty_file_is_no_success(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "records.jsonl", [])
    said = refused(tmp_path, "replay", write_stream(tmp_path), exit_code=4)
    assert "the source is empty" in said


def test_a_stream_of_rubbish_stops_loudly_and_keeps_it(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "records.jsonl", [b"rubbish"] * 3_000)
    url = f"sqlite:///{tmp_path}/out.db"
    said = refused(tmp_path, "replay", write_stream(tmp_path), "--database", url, exit_code=4)
    assert "not_json" in said
    assert "dead_letter_share" in said
    with sqlite3.connect(tmp_path / "out.db") as database:
        [(kept,)] = database.execute("SELECT count(*) FROM dead_letter")
    assert kept >= 1_000


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"widnow": "1h"}, "did you mean 'window'?"),
        ({"source": {"kind": "file", "pth": "x"}}, "did you mean 'path'?"),
        ({"window": "soon"}, "not a duration"),
        ({"baseline": {"from": "2020-02-01", "until": "2020-01-01"}}, "before"),
        ({"probes": "gone.yaml"}, "cannot read the ProbeSet"),
        ({"probes": "no_such_module:x"}, "cannot import"),
        ({"alerts": {"receivers": ["nobody"]}}, "tidegauge.yaml"),
        ({"baseline": {"name": "january"}}, "baseline fit"),
    ],
)
def test_a_wrong_stream_file_says_what_was_meant(
    tmp_path: Path, changes: dict[str, Any], says: str
) -> None:
    write_jsonl(tmp_path / "records.jsonl", GOOD[:3])
    config = write_stream(tmp_path, **changes)
    command = "run" if "alerts" in changes else "replay"
    assert says in refused(tmp_path, command, config, exit_code=2)


def test_no_file_matches_says_which(tmp_path: Path) -> None:
    config = write_stream(tmp_path, source={"kind": "file", "path": "gone*.jsonl"})
    assert "gone*.jsonl" in refused(tmp_path, "replay", config, exit_code=3)


def test_duplicate_lf_names_are_refused(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "records.jsonl", GOOD[:3])
    twice = {**PROBES, "probes": [*PROBES["probes"], PROBES["probes"][0]]}
    said = refused(tmp_path, "replay", write_stream(tmp_path, probes=twice), exit_code=2)
    assert "duplicate labeling function 'mentions_free'" in said
    assert "rename one" in said


def test_a_baseline_of_another_probe_set_is_refused(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "records.jsonl", GOOD)
    url = f"sqlite:///{tmp_path}/out.db"
    stream = write_stream(tmp_path)
    records = tmp_path / "records.jsonl"
    tidegauge(
        "baseline",
        "fit",
        stream,
        "--name",
        "mine",
        "--records",
        records,
        cwd=tmp_path,
        database=url,
    )
    other = {**PROBES, "probes": PROBES["probes"][:2]}
    changed = write_stream(tmp_path, probes=other, baseline={"name": "mine"})
    said = refused(tmp_path, "replay", changed, "--database", url, exit_code=2)
    assert "belongs to ProbeSet" in said
    assert "fit a baseline with those LFs" in said


def test_an_empty_baseline_is_refused(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "records.jsonl", GOOD)
    config = write_stream(tmp_path, baseline={"from": "2020-01-01", "until": "2020-01-03"})
    said = refused(tmp_path, "replay", config, exit_code=2)
    assert "the baseline is empty" in said
    assert "its records lie from 2020-09-13T12:00:00Z to " in said


def test_a_vote_matrix_of_the_wrong_width_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "L.npy", np.zeros((10, 5), dtype=int))
    said = refused(
        tmp_path,
        "baseline",
        "fit",
        write_stream(tmp_path),
        "--name",
        "x",
        "--votes",
        tmp_path / "L.npy",
        exit_code=2,
    )
    assert "(10, 5)" in said
    assert "(records, 3)" in said


def test_an_unknown_column_of_a_csv_makes_every_row_a_dead_letter(tmp_path: Path) -> None:
    rows = "id,when,text\n" + "".join(f"{n},2020-09-13,hello\n" for n in range(50))
    (tmp_path / "records.csv").write_text(rows)
    path = write_stream(tmp_path, source={"kind": "file", "path": "records.csv"})
    done = tidegauge("replay", path, "--json", cwd=tmp_path, check=False)
    assert done.returncode == 4
    assert "all 50 inputs became dead letters" in done.stderr
    assert last_json(done.stdout)["dead_letter_reasons"] == {"missing_timestamp": 50}


def test_a_broker_that_is_down_is_named(tmp_path: Path) -> None:
    where = f"127.0.0.1:{free_port()}"
    source = {"kind": "kafka", "bootstrap": where, "topic": "x"}
    said = refused(tmp_path, "run", write_stream(tmp_path, source=source), exit_code=3)
    assert where in said
    assert "check that the broker is running" in said


def test_a_database_server_that_is_down_is_named(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "records.jsonl", GOOD[:3])
    url = f"postgresql://me:topsecret@127.0.0.1:{free_port()}/x"
    said = refused(tmp_path, "run", write_stream(tmp_path), exit_code=5, database=url)
    assert "check that the server is running" in said
    assert "topsecret" not in said


def test_an_unready_postgres_says_to_upgrade(tmp_path: Path, postgres_url: str) -> None:
    write_jsonl(tmp_path / "records.jsonl", GOOD[:3])
    stream = write_stream(tmp_path)
    said = refused(tmp_path, "run", stream, exit_code=5, database=postgres_url)
    assert "tidegauge db upgrade" in said


def test_a_wrong_database_password_is_told_without_it(
    tmp_path: Path, postgres_server: PostgresServer
) -> None:
    write_jsonl(tmp_path / "records.jsonl", GOOD[:3])
    url = postgres_server.url("no_such_database")
    said = refused(tmp_path, "run", write_stream(tmp_path), exit_code=5, database=url)
    assert "create the database" in said


def test_a_read_only_database_says_so(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "records.jsonl", GOOD[:3])
    stream = write_stream(tmp_path)
    file = tmp_path / "kept.db"
    tidegauge("db", "upgrade", cwd=tmp_path, database=f"sqlite:///{file}")
    read_only = f"sqlite:///file:{file}?mode=ro&uri=true"
    said = refused(tmp_path, "run", stream, exit_code=5, database=read_only)
    assert "read-only" in said


def test_a_misspelt_variable_is_refused(tmp_path: Path) -> None:
    said = refused(tmp_path, "db", "upgrade", exit_code=2, databse="sqlite:///x.db")
    assert "did you mean 'TIDEGAUGE_DATABASE'?" in said


def test_doctor_lists_what_is_wrong(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "records.jsonl", GOOD[:3])
    stream = write_stream(tmp_path)
    assert "✓ system clock" in tidegauge("doctor", stream, cwd=tmp_path).stdout
    (tmp_path / "records.jsonl").unlink()
    done = tidegauge("doctor", stream, cwd=tmp_path, check=False)
    assert done.returncode == 1
    assert "✗" in done.stdout
    assert "no file matches" in done.stdout


def test_a_start_on_a_full_disk_says_so(tmp_path: Path) -> None:
    """Found by the crash tests: it ended with 1, which means that nobody knows why."""
    done = subprocess.run(
        [*TIDEGAUGE, "run", write_stream(tmp_path), "--port", "0"],
        cwd=tmp_path,
        env=environment(database=f"sqlite:///{tmp_path}/x.db"),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)),
    )
    said = " ".join(done.stderr.split())
    assert done.returncode == 5, said
    assert "error: cannot make a folder for temporary files" in said
    assert "make room" in said
