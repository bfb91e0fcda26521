"""What a reset of a stream is said to do."""

from __future__ import annotations

import pytest

from tests.service.streams_for_tests import HOUR, START
from tidegauge_service.cli.streams import _offsets, _reset_words
from tidegauge_service.store.ingest.decisions import Decision
from tidegauge_service.store.ingest.origins import Position


@pytest.mark.parametrize(
    ("positions", "said"),
    [
        ([Position(0, 5, 5), Position(1, 7, 6)], "All inputs of the old source have been read."),
        ([Position(0, 5, 5), Position(1, 7, 9)], "At least 2 inputs of it will never be read."),
        ([Position(0, 5, 6), Position(1, 7, None)], "At least 1 input of it will never be read."),
        ([Position(0, 5, 5), Position(1, 7, None)], "Inputs of it that have not been read never"),
    ],
)
def test_a_reset_says_what_was_not_read(positions: list[Position], said: str) -> None:
    words = _reset_words("test", "log", positions, None)
    assert f"2 partitions, 12 offsets. {said}" in words
    assert "or as late if their window is closed" in words


@pytest.mark.parametrize(("latest", "all_late"), [(START - 1, True), (START, False)])
def test_a_reset_says_whether_everything_will_be_late(latest: int, *, all_late: bool) -> None:
    positions = [Position(0, 5, 5, latest), Position(1, 0, 0, None)]
    words = _reset_words("test", "log", positions, START)
    assert ("records that are read again will all be late" in words) is all_late
    assert "are counted again" in _reset_words("test", "log", positions, START - HOUR)


@pytest.mark.parametrize(
    ("offsets", "said"),
    [
        ((40, 100, 60), "40\nto 100\n60 never read"),
        ((300, 0, 0), "read to 300\nagain from 0"),
        ((300, 0, 20), "read to 300\nagain from 0\n20 never read"),
    ],
)
def test_a_gap_of_a_truncated_file_is_no_range(offsets: tuple[int, int, int], said: str) -> None:
    assert _offsets(Decision(0, "truncated", *offsets, START, None, None, None)) == said
