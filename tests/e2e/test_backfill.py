"""``tidegauge backfill`` as people run it."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.running import last_json, tidegauge
from tests.service import oracle
from tests.service.streams_for_tests import write_jsonl, write_stream


def test_history_is_counted_once_and_what_is_wrong_is_said(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/history.db"
    write_stream(tmp_path, source={"kind": "log", "partitions": 2})
    values = oracle.topic(1, 120)[0]
    write_jsonl(tmp_path / "a.jsonl", values[:60])
    write_jsonl(tmp_path / "b.jsonl", values[60:])
    write_jsonl(tmp_path / "shuffled.jsonl", values[::-1])

    def run(*arguments: str, check: bool = True) -> tuple[int, str, str]:
        done = tidegauge("backfill", *arguments, cwd=tmp_path, check=check, database=url)
        return done.returncode, done.stdout, " ".join(done.stderr.split())

    _, out, _ = run("stream.yaml", "a.jsonl", "b.jsonl", "--json")
    said = last_json(out)
    assert [(f["name"], f["records"], f["late"]) for f in said["files"]] == [
        ("a.jsonl", 60, 0),
        ("b.jsonl", 60, 0),
    ]
    _, out, _ = run("stream.yaml", "a.jsonl")
    assert out == "a.jsonl: 60 records counted, 0 of them late (by an earlier run)\n"
    code, _, err = run("stream.yaml", "shuffled.jsonl", check=False)
    assert code == 2
    assert "sort the file by time" in err
    code, _, err = run("stream.yaml", "--abandon", check=False)
    assert (code, "every file of 'test' was read to its end" in err) == (2, True)
    code, _, err = run("stream.yaml", check=False)
    assert (code, "give either the files to read" in err) == (2, True)
