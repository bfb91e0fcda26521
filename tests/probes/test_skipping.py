"""The engine tells which LF runs, and does not call those that are quarantined."""

from __future__ import annotations

from typing import Any

from tidegauge_probes import ProbeSet, engine
from tidegauge_probes.counts import panes
from tidegauge_probes.labeling.templates import SliceSpec
from tidegauge_probes.model import ABSTAIN, ERROR

called: list[str] = []


def first(x: Any) -> int:
    called.append("first")
    return int(x.text == "a")


def second(x: Any) -> int:
    called.append("second")
    return ABSTAIN if x.text == "a" else 1


PROBE_SET = ProbeSet.of(
    [first, second],
    cardinality=2,
    slices=[SliceSpec.model_validate({"name": "with_b", "keyword": {"any": ["b"]}})],
)
RECORDS = [{"text": "a"}, {"text": "b"}, {"text": "c"}]


def test_each_column_is_told_before_it_runs() -> None:
    entered: list[tuple[int, int]] = []
    called.clear()
    engine.run(PROBE_SET, RECORDS, entering=lambda column, _: entered.append((column, len(called))))
    assert entered == [(2, 0), (0, 0), (1, 3)], "templates, then Python; not once per record"


def test_a_skipped_lf_is_not_called_and_fails_on_every_record() -> None:
    entered: list[int] = []
    called.clear()
    matrix = engine.run(
        PROBE_SET, RECORDS, skipped={0}, entering=lambda column, _: entered.append(column)
    )
    assert "first" not in called
    assert sorted(entered) == [1, 2]
    assert matrix.outcomes[:, 0].tolist() == [ERROR] * 3
    assert [(f.probe, f.row, f.type) for f in matrix.faults] == [
        (0, row, engine.QUARANTINED) for row in range(3)
    ]
    whole = engine.run(PROBE_SET, RECORDS)
    assert matrix.outcomes[:, 1].tolist() == whole.outcomes[:, 1].tolist()
    assert matrix.segments.tolist() == whole.segments.tolist()
    pane = panes.fold(matrix, 2, {})
    assert pane.all.errors.tolist() == [3, 0]


def test_a_skipped_slice_takes_no_record() -> None:
    matrix = engine.run(PROBE_SET, RECORDS, skipped={2})
    assert not matrix.segments.any()
    assert {f.probe for f in matrix.faults} == {2}
    assert matrix.outcomes.tolist() == engine.run(PROBE_SET, RECORDS).outcomes.tolist()


def test_no_records_no_faults() -> None:
    assert engine.run(PROBE_SET, [], skipped={0, 2}).faults == ()
