import json
from collections import Counter
from datetime import datetime

import pytest

from tidegauge_service.demo.generator import Plan, dirt_at, raw_at, record_at

PLAN = Plan()


@pytest.fixture(scope="module")
def dirty() -> dict[int, str]:
    found = {offset: dirt_at(7, offset, PLAN) for offset in range(40_000)}
    return {offset: kind for offset, kind in found.items() if kind is not None}


def test_one_in_a_thousand_is_dirty_in_three_ways(dirty: dict[int, str]) -> None:
    assert 20 <= len(dirty) <= 60
    kinds = Counter(dirty.values())
    assert set(kinds) == {"not_an_object", "no_id", "bad_timestamp"}
    assert min(kinds.values()) >= 5


def test_dirty_bytes_are_broken_as_they_say(dirty: dict[int, str]) -> None:
    for offset, kind in dirty.items():
        raw = raw_at(7, offset, PLAN)
        if kind == "not_an_object":
            with pytest.raises(ValueError):  # JSON's, or half a character's
                json.loads(raw)
        elif kind == "no_id":
            assert "id" not in json.loads(raw)
        else:
            with pytest.raises(ValueError, match="isoformat"):
                datetime.fromisoformat(json.loads(raw)["timestamp"])


def test_a_dirty_record_is_otherwise_what_it_should_have_been(dirty: dict[int, str]) -> None:
    for offset, kind in dirty.items():
        if kind == "no_id":
            whole = {**json.loads(raw_at(7, offset, PLAN)), "id": f"demo-{offset:06d}"}
            assert whole == record_at(7, offset, PLAN)


def test_the_rest_is_clean(dirty: dict[int, str]) -> None:
    for offset in range(3000):
        if offset not in dirty:
            assert json.loads(raw_at(7, offset, PLAN)) == record_at(7, offset, PLAN)


def test_a_plan_without_dirt_has_none() -> None:
    clean = Plan(dirty_share=0)
    assert not any(dirt_at(7, offset, clean) for offset in range(5000))
