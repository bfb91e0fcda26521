"""What a stream cannot see, from its counts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tidegauge_alerts.messages import phrases
from tidegauge_probes import LabelingFunction, ProbeSet, engine
from tidegauge_probes.counts import panes
from tidegauge_probes.counts.blindness import FEWEST, blindness, uncounted
from tidegauge_probes.counts.panes import PaneCounts
from tidegauge_probes.findings import BlindCause, Blindness
from tidegauge_probes.labeling.templates import TemplateSpec

FAILS, BLIND_SPOT = BlindCause.LF_FAILS, BlindCause.BLIND_SPOT


def _keyword(field: str = "text") -> TemplateSpec:
    return TemplateSpec.model_validate(
        {"name": "key", "label": 1, "keyword": {"any": ["free"], "field": field}}
    )


def _counted(probe_set: ProbeSet, records: list[dict[str, Any]]) -> PaneCounts:
    return panes.fold(engine.run(probe_set, records), probe_set.cardinality, {})


def look(
    lfs: list[Any], records: list[dict[str, Any]], before: tuple[Blindness, ...] = (), **more: Any
) -> tuple[Blindness, ...] | None:
    probe_set = ProbeSet.of(lfs, cardinality=2)
    return blindness(_counted(probe_set, records), probe_set.layout, before, **more)


def keys(found: tuple[Blindness, ...] | None) -> list[tuple[BlindCause, str]] | None:
    return None if found is None else [each.key for each in found]


def mixed(bad: int, n: int = 100, **value: Any) -> list[dict[str, Any]]:
    return [value] * bad + [{"text": "free"}] * (n - bad)


def test_a_field_that_is_nowhere_blinds_every_lf_that_reads_it() -> None:
    lfs = [
        _keyword(),
        LabelingFunction("attribute", lambda x: int("a" in x.text)),
        LabelingFunction("item", lambda x: int("a" in x["text"])),
        LabelingFunction("other", lambda x: x.n),
    ]
    found = look(lfs, [{"n": 1}] * 50, text="bdy")
    assert found is not None
    assert [(f.probe, f.share, f.missing, f.path) for f in found] == [
        (name, 1.0, "text", "bdy") for name in ("key", "attribute", "item")
    ]
    said = phrases.blind(found[:1])
    assert said == ["LF 'key' fails on 100 % of the records: `record.text` finds nothing at 'bdy'"]


def test_one_missing_field_is_said_once_for_templates_and_python() -> None:
    lfs = [_keyword(), LabelingFunction("attribute", lambda x: int("a" in x.text))]
    found = look(lfs, [{"n": 1}] * 50, text="bdy")
    assert found is not None
    [said] = phrases.blind(found)
    assert said.startswith(
        "2 LFs ('key', 'attribute') fail on 100 % of the records: `record.text` finds nothing at"
    )


def test_another_field_that_is_missing_is_named_without_the_mapping() -> None:
    found = look([_keyword("body")], [{"text": "a"}] * 50, text="bdy")
    assert found is not None
    [said] = phrases.blind(found)
    assert said == "LF 'key' fails on 100 % of the records: the records have no field 'body'"


def test_an_lf_that_fails_for_another_reason_says_which() -> None:
    def broken(_: Any) -> int:
        raise OSError("model gone")

    found = look([LabelingFunction("broken", broken), _keyword()], [{"text": "free"}] * 50)
    assert found is not None
    assert phrases.blind(found) == [
        "LF 'broken' fails on 100 % of the records (OSError: model gone)"
    ]


@pytest.mark.parametrize(
    ("bad", "before", "expected"),
    [
        (0, (), []),
        (50, (), []),
        (51, (), [(FAILS, "key")]),
        (45, (Blindness(FAILS, 0.6, "key"),), [(FAILS, "key")]),
        (45, (Blindness(FAILS, 0.6, "another"),), []),
        (40, (Blindness(FAILS, 0.6, "key"),), []),
    ],
)
def test_an_lf_that_fails_on_more_than_half(
    bad: int, before: tuple[Blindness, ...], expected: Any
) -> None:
    assert keys(look([_keyword()], mixed(bad, n_=1), before)) == expected


@pytest.mark.parametrize(
    ("quiet", "before", "expected"),
    [
        (90, (), []),
        (91, (), [(BLIND_SPOT, "")]),
        (80, (Blindness(BLIND_SPOT, 0.95),), [(BLIND_SPOT, "")]),
        (72, (Blindness(BLIND_SPOT, 0.95),), []),
    ],
)
def test_a_blind_spot_of_more_than_nine_in_ten(
    quiet: int, before: tuple[Blindness, ...], expected: Any
) -> None:
    assert keys(look([_keyword()], mixed(quiet, text="quiet"), before)) == expected


def test_a_null_text_is_an_abstain_and_shows_in_the_blind_spot() -> None:
    assert keys(look([_keyword()], [{"text": None}] * 50)) == [(BLIND_SPOT, "")]


def test_few_records_say_nothing() -> None:
    assert look([_keyword()], [{}] * (FEWEST - 1)) is None
    assert keys(look([_keyword()], [{}] * FEWEST)) == [(FAILS, "key")]


@pytest.mark.parametrize(
    ("records", "late", "dead", "fault"),
    [
        (0, 0, {"not_json": FEWEST}, "not_json"),
        (0, 0, {"missing_id": 10, "missing_timestamp": 20}, "missing_timestamp"),
        (FEWEST, FEWEST, {}, "late"),
        (40, 40, {"not_json": 2}, "late"),
        (0, 0, {"not_json": FEWEST - 1}, None),
        (1, 0, {"not_json": 500}, None),
        (FEWEST, FEWEST - 1, {}, None),
        (0, 0, {}, None),
    ],
)
def test_inputs_of_which_nothing_is_counted(
    records: int, late: int, dead: dict[str, int], fault: str | None
) -> None:
    found = uncounted(records, late, dead)
    assert [each.fault for each in found] == ([] if fault is None else [fault])
    assert all(each.cause is BlindCause.NOTHING_COUNTED for each in found)
    assert all(fault in text or "is late" in text for text in phrases.blind(found) if fault)


def test_lfs_that_fail_for_one_reason_are_told_of_together() -> None:
    some = [Blindness(FAILS, 1.0, f"lf{n}", "missing_field", "", "text", "bdy") for n in range(7)]
    other = Blindness(FAILS, 0.6, "slow", "OSError", "gone")
    said = phrases.blind([*some, other, Blindness(BLIND_SPOT, 0.95)])
    assert len(said) == 3
    assert said[0].startswith("7 LFs ('lf0', 'lf1', 'lf2', 'lf3', 'lf4' and 2 more) fail on 100 %")


def test_hostile_names_are_cleaned() -> None:
    [said] = phrases.blind([Blindness(FAILS, 1.0, "a\nb", "E", "\x1b[2J" * 900)])
    assert said.isprintable()
    assert len(said) < 600


@pytest.mark.parametrize(("having", "nowhere"), [(0, ["chanel"]), (1, [])])
def test_a_segment_field_is_nowhere_until_one_record_has_it(
    having: int, nowhere: list[str]
) -> None:
    probe_set = ProbeSet.of([_keyword()], cardinality=2)
    matrix = engine.run(probe_set, [{"text": "free"}] * 50)
    segments = {
        "chanel=_missing": np.arange(50) >= having,
        "chanel=web": np.arange(50) < having,
    }
    counts = panes.fold(matrix, probe_set.cardinality, segments)
    found = blindness(counts, probe_set.layout, segment_by=("chanel",))
    assert found is not None
    assert [one.missing for one in found] == nowhere
    assert not any(one.serious for one in found)
