"""The benchmark over Kafka, as far as it needs no Kafka."""

from __future__ import annotations

from pathlib import Path

from benchmarks.kafka import LFS, Group
from tidegauge_probes.labeling.loading import load_file


def test_its_workers_can_read_the_lfs_that_it_writes(tmp_path: Path) -> None:
    Group("127.0.0.1:1", "topic", tmp_path)
    assert len(load_file(tmp_path / "probes.yaml").layout.probes) == LFS
