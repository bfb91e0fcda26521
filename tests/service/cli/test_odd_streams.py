"""Streams that nobody would choose, replayed as people replay them: a stated behaviour each."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.service.streams_for_tests import HOUR, START, record, write_jsonl, write_stream
from tidegauge_probes.errors import BaselineError, TidegaugeError
from tidegauge_service.cli.main import app
from tidegauge_service.clock import to_iso
from tidegauge_service.errors import exit_code_of

FREE, THANKS, BLIND = "free pills for you now", "thanks for all the fish", "nothing to see here now"
WEEK = 24 * 7


def usual(n: int, _hour: int) -> str:
    """Return a text: every fifth record is free, every third of the others thanks."""
    return FREE if n % 5 == 0 else THANKS if n % 3 == 0 else BLIND


def silent_week(hour: int) -> int:
    return 0 if 52 <= hour < 52 + WEEK else 20


@dataclass(frozen=True)
class OddStream:
    """A stream of *hours*, the first *baseline* of them its baseline; what to expect of it."""

    name: str
    baseline: int = 50
    hours: int = 56
    records: Callable[[int], int] = lambda _hour: 40
    text: Callable[[int, int], str] = usual
    settings: dict[str, Any] = field(default_factory=dict)
    shifted: frozenset[str] = frozenset()
    """LFs whose coverage alerts; the others, and all other series, stay quiet."""

    def rows(self) -> Iterator[dict[str, Any]]:
        number = 0
        for hour in range(self.hours):
            count = self.records(hour)
            for n in range(count):
                number += 1
                ms = START + hour * HOUR + n * HOUR // count
                yield record(number, self.text(n, hour), ms=ms)


QUIET = [
    OddStream("a baseline of 1 window", baseline=1, hours=6),
    OddStream("of 3 windows", baseline=3, hours=8),
    OddStream("of 20 windows", baseline=20, hours=30),
    OddStream("a constant series"),
    OddStream("an LF that never fires", text=lambda n, _: THANKS if n % 3 == 0 else BLIND),
    OddStream("an LF that always fires", text=lambda _n, _h: FREE),
    OddStream("an LF that is all or nothing", text=lambda _n, hour: BLIND if hour % 7 else FREE),
    OddStream("a silent week in the baseline", 72 + WEEK, 78 + WEEK, silent_week),
    OddStream("a silent week later", 50, 56 + WEEK, silent_week),
    OddStream("one record a window", 50, 90, lambda _h: 1, lambda _n, h: usual(h, h)),
    OddStream("one record in the baseline", 50, 56, lambda h: 30 if h > 49 else int(h == 3)),
    OddStream("a calendar without a holiday", settings={"calendar": []}),
]
SHIFTED = [
    OddStream(
        "an LF that never fired, and now does",
        text=lambda n, h: BLIND if h < 53 or n % 2 else FREE,
        shifted=frozenset({"mentions_free"}),
    ),
    OddStream(
        "an LF that always fired, and now does not",
        text=lambda _n, h: FREE if h < 53 else BLIND,
        shifted=frozenset({"mentions_free"}),
    ),
]


def named(odd: OddStream) -> str:
    return odd.name


def replayed(folder: Path, odd: OddStream) -> dict[str, Any]:
    """Replay a stream with a report; neither that nor the JSON may hold NaN or infinity."""

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    write_jsonl(folder / "records.jsonl", odd.rows())
    chosen = {"from": to_iso(START), "until": to_iso(START + odd.baseline * HOUR)}
    stream = str(write_stream(folder, baseline=chosen, **odd.settings))
    report = folder / "report.html"
    command = ["replay", stream, "--json", "--report", str(report)]
    done = CliRunner().invoke(app, command, catch_exceptions=False)
    assert done.exit_code == 0
    assert not re.search(r">[^<]*\b(nan|inf)\b", report.read_text(), re.IGNORECASE)
    return dict(json.loads(done.stdout, parse_constant=refuse))


@pytest.mark.parametrize("odd", QUIET, ids=named)
def test_an_odd_stream_that_stays_as_it_was_is_quiet(tmp_path: Path, odd: OddStream) -> None:
    found = replayed(tmp_path, odd)
    assert found["records"] == sum(map(odd.records, range(odd.hours)))
    told = {"volume"} if odd.name == "a silent week later" else set()
    assert {alert["series"] for alert in found["alerts"]} <= told


@pytest.mark.parametrize("odd", SHIFTED, ids=named)
def test_an_odd_stream_that_shifts_is_told(tmp_path: Path, odd: OddStream) -> None:
    alerts = replayed(tmp_path, odd)["alerts"]
    assert odd.shifted <= {a["probe"] for a in alerts if a["series"] == "coverage"}
    assert {a["state"] for a in alerts} <= {"firing", "settled"}


# -- input errors -------------------------------------------------------------------------------


def refused(*command: str) -> str:
    """Return what a command is refused with, as exit code 2."""
    done = CliRunner().invoke(app, list(command))
    assert isinstance(done.exception, TidegaugeError), done.exception
    assert exit_code_of(done.exception) == 2
    return str(done.exception)


def test_a_time_zone_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    stream = str(write_stream(tmp_path, timezone="Europe/Berln"))
    assert "did you mean 'Europe/Berlin' or" in refused("replay", stream)


@pytest.mark.parametrize("of_file", [True, False])
def test_a_balance_that_does_not_add_up_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, of_file: bool
) -> None:
    monkeypatch.setenv("TIDEGAUGE_DATABASE", f"sqlite:///{tmp_path}/cli.db")
    np.save(tmp_path / "L.npy", np.zeros((50, 3), dtype=np.int8))
    write_jsonl(tmp_path / "records.jsonl", [record(1, FREE)])
    if of_file:
        shares = {"HAM": 0.9, "SPAM": 0.2}
        chosen = {"from": to_iso(START), "until": to_iso(START + HOUR), "balance": shares}
        said = refused("replay", str(write_stream(tmp_path, baseline=chosen)))
    else:
        command = ["baseline", "fit", str(write_stream(tmp_path)), "--name", "b"]
        votes = ["--votes", str(tmp_path / "L.npy"), "--balance", "HAM=.9,SPAM=.2"]
        said = refused(*command, *votes)
    assert "must be positive shares that add up to 1, not HAM=0.9, SPAM=0.2" in said


def test_gold_labels_of_one_class_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEGAUGE_DATABASE", f"sqlite:///{tmp_path}/cli.db")
    rows = [record(n, usual(n, 0), truth="HAM") for n in range(300)]
    path = str(write_jsonl(tmp_path / "train.jsonl", rows))
    command = ["baseline", "fit", str(write_stream(tmp_path)), "--name", "b", "--records", path]
    assert "gold labels cover only 1 of 2 classes" in refused(*command, "--gold", "truth")
    with pytest.raises(BaselineError, match="'truths'"):
        CliRunner().invoke(app, [*command, "--gold", "truths"], catch_exceptions=False)
