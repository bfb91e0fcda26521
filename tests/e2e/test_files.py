"""`run --drain` over files, as a nightly job runs it."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from tests.e2e.running import tidegauge
from tests.service.file_streams import FileStream, jsonl, rows
from tests.service.streams_for_tests import write_stream


def test_each_run_reads_what_is_new(tmp_path: Path) -> None:
    stream = FileStream(tmp_path)
    url = f"sqlite:///{tmp_path}/test.db"
    path = write_stream(tmp_path, source={"kind": "file", "path": "day-*.jsonl"})
    nights = {"day-2.jsonl": rows(0, 400), "day-3.jsonl": rows(400, 400)}
    for name, records in nights.items():
        stream.put(name, records)
    done = tidegauge("run", path, "--drain", "--no-api", cwd=tmp_path, database=url)
    said = "test: 800 records in 14 windows, 0 late, 0 dead letters, 0 open alerts\n"
    assert done.stdout.startswith(said)
    assert f"`tidegauge run {path}`" in done.stdout
    stream.put("day-10.jsonl", rows(2_000, 500))
    tidegauge("run", path, "--drain", "--no-api", cwd=tmp_path, database=url)
    assert stream.positions() == {0: 400, 1: 400, 2: 500}
    assert (stream.counted(), stream.late()) == (1_300, 0)


HOPELESS = {
    "broken off": ("a.jsonl.gz", gzip.compress(jsonl(rows(0, 20_000)))[:-5_000], 3, "cannot read"),
    "a header that is none": ("a.csv", b"id,id\n1,2\n", 3, "two columns are named 'id'"),
    "no record": ("a.csv", b"id;text\n" + b"1;2\n" * 600, 4, "all 600 inputs became dead letters"),
}


@pytest.mark.parametrize("what", HOPELESS)
def test_what_no_retry_mends_ends_the_command(tmp_path: Path, what: str) -> None:
    name, content, code, why = HOPELESS[what]
    (tmp_path / name).write_bytes(content)
    path = write_stream(tmp_path, source={"kind": "file", "path": "a.*"})
    url = f"sqlite:///{tmp_path}/test.db"
    done = tidegauge(
        "run", path, "--drain", "--no-api", cwd=tmp_path, database=url, check=False, timeout=60
    )
    assert done.returncode == code, done.stderr
    assert why in done.stderr
