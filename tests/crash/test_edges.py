"""A few kills at the edge. The long proof: `python -m tests.crash.edges --kills 60 --seed 1`."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.crash.edge_stage import Oracle, Partition, Stage, jsonl
from tests.crash.edges import DRAIN, play

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def test_files_that_change_and_history_are_exact_under_kills(tmp_path: Path) -> None:
    result = play(tmp_path, kills=5, seed=1, only=["files", "history"])
    assert result["difference"] == 0
    assert sum(result["kills"].values()) >= 2
    assert result["records"]["history"] >= 2_000


def test_a_row_too_few_and_a_row_too_many_are_seen(tmp_path: Path) -> None:
    stage = Stage(tmp_path, random.Random(1), left=0)
    stage.write_stream({"kind": "file", "path": "records.jsonl"})
    rows = stage.rows(60)
    (tmp_path / "records.jsonl").write_bytes(jsonl(rows))
    stage.finish(*DRAIN)
    for expected in (rows[1:], [*rows, rows[-1]], rows):
        stage.faults.clear()
        oracle = Oracle()
        oracle.take(expected, Partition())
        stage.compare(oracle)
        assert bool(stage.faults) == (expected is not rows)
