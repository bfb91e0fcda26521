"""The short version of ``python -m tests.crash.edges``."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.crash.edges import Edge, changing_files, clocks

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def test_files_that_change_are_counted_once_under_kills(tmp_path: Path) -> None:
    edge = Edge(tmp_path, random.Random(1), kills=3)
    assert changing_files(edge) == []
    assert edge.made


def test_any_size_of_batch_gives_the_same_windows_and_alerts(tmp_path: Path) -> None:
    assert clocks(Edge(tmp_path, random.Random(2), kills=0)) == []
