"""Which kept records of an alerting window become retraining candidates."""

from __future__ import annotations

import numpy as np
import pytest

from tests.alerts.builders import BLIND_SPOT, COVERAGE, ERRORS, fired, shifted
from tests.probes.strategies import matrix
from tidegauge_alerts.model import Alert
from tidegauge_probes.counts import panes
from tidegauge_probes.findings import SeriesKey, SeriesKind
from tidegauge_probes.model import Layout
from tidegauge_service.candidates.proposal import choose
from tidegauge_service.store.ingest.counted import Sample

LAYOUT = Layout(("check_out", "other"), ("HAM", "SPAM"), ((1,), (0,)))
MIX = SeriesKey(SeriesKind.CLASS_SHARE, label="SPAM")
VOLUME = SeriesKey(SeriesKind.VOLUME)
REST = SeriesKey(SeriesKind.SEGMENT_SHARE, "country=_other")

VOTES = np.array([[1, -1]] * 20 + [[-1, -1]] * 60 + [[-1, 0]] * 20, dtype=np.int8)
PANE = panes.fold(matrix(VOTES), 2, {})


def alerts(*keys: SeriesKey) -> list[Alert]:
    return list(fired(*(shifted(key=key) for key in keys)).alerts)


def kept(row: int) -> tuple[int, Sample]:
    lf = ("lf:check_out",) if VOTES[row, 0] >= 0 else ()
    blind = ("blind_spot",) if VOTES[row].max() < 0 else ()
    buckets = ("all", *lf, *blind)
    sample = Sample(0, row, row, buckets, str(row), row, "{}", VOTES[row].tobytes(), ())
    return 0, sample


SAMPLES = [kept(row) for row in range(0, 100, 2)]


@pytest.mark.parametrize(
    ("keys", "drawn"),
    [
        ([COVERAGE], {"uniform": 10, "shifted_lf": 10}),
        ([BLIND_SPOT], {"uniform": 10, "blind_spot": 20}),
        ([MIX], {"uniform": 30}),
        ([MIX, COVERAGE], {"uniform": 10, "shifted_lf": 10}),
        ([ERRORS], {}),
        ([VOLUME], {}),
        ([REST], {"uniform": 30}),
        ([], {}),
    ],
)
def test_an_alert_asks_for_records_of_its_kind(
    keys: list[SeriesKey], drawn: dict[str, int]
) -> None:
    chosen = choose(SAMPLES, PANE, LAYOUT, alerts(*keys), 30)
    found = [reason for reasons in chosen.values() for reason in reasons]
    assert {r.reason: sum(f.reason == r.reason for f in found) for r in found} == drawn
    for reason in found:
        size = {"uniform": 100, "shifted_lf": 20, "blind_spot": 60}[reason.reason]
        assert reason.inclusion_probability == pytest.approx(drawn[reason.reason] / size)
