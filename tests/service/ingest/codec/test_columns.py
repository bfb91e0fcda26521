"""The fields of records, in words."""

from __future__ import annotations

from tidegauge_service.ingest.codec.columns import MOST_CHARACTERS, MOST_NAMED, columns


def test_what_records_have_together_is_named_in_order() -> None:
    assert columns([{"b": 1}, {"a": {"x": 1, "y": {}}, "b": 2}]) == "b, a.x, a.y"
    assert columns([]) == columns([{}]) == "no field"


def test_hostile_records_make_no_long_message() -> None:
    many = {f"{n:03}" * 1_000: n for n in range(MOST_NAMED + 5)}
    said = columns([many])
    assert said.endswith(" and 5 more")
    assert len(said) <= MOST_NAMED * (MOST_CHARACTERS + 2) + len(" and 5 more")
    deep: dict[str, object] = {"a": 1}
    for _ in range(60):
        deep = {"a": deep}
    assert columns([deep]).count(".") == 4
