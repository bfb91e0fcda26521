"""What is kept of a ProbeSet is JSON that a person can read, and that no other version misreads."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tidegauge_probes import ProbeError, ProbeSet, labeling_function
from tidegauge_probes.labeling.contents import read_contents
from tidegauge_probes.labeling.digest import digest
from tidegauge_probes.labeling.templates import SliceSpec, TemplateSpec
from tidegauge_probes.labeling.voters import VoterSpec

FREE = TemplateSpec.model_validate({"name": "free", "label": "SPAM", "keyword": {"any": ["free"]}})
MODEL = VoterSpec.model_validate({"name": "model", "prediction": {"field": "model.label"}})
SHORT = SliceSpec.model_validate({"name": "short", "length": {"below": 40}})


@labeling_function()
def prize(x: Any) -> int:
    return 1 if "prize" in x.text else -1


MADE = ProbeSet.of([FREE, MODEL, prize], classes=["HAM", "SPAM"], slices=[SHORT])


def test_everything_is_named() -> None:
    kept = MADE.contents.document()
    free, model, python = kept["probes"]
    assert (kept["version"], kept["classes"]) == (1, ["HAM", "SPAM"])
    keyword = {"field": "text", "any": ["free"], "whole_word": False, "case": False}
    assert free == {
        "type": "template", "name": "free", "condition": {"keyword": keyword}, "label": 1,
    }  # fmt: skip
    assert model == {
        "type": "voter", "name": "model", "field": "model.label",
        "votes": {"HAM": 0, "SPAM": 1}, "deployed": True,
    }  # fmt: skip
    assert (python["type"], python["name"]) == ("python", "prize")
    function = python["definition"]["state"]["_f"]
    assert function["type"] == "function"
    assert re.fullmatch("sha256:[0-9a-f]{16}", function["source"])
    [short] = kept["slices"]
    assert (short["type"], "label" in short) == ("template", False)


def test_json_gives_the_same_contents_back() -> None:
    kept = json.loads(json.dumps(MADE.contents.document()))
    assert read_contents(kept) == MADE.contents
    assert read_contents(kept).deployed == MADE.deployed == (1,)


@pytest.mark.parametrize("version", [None, 0, 2])
def test_another_version_is_refused(version: int | None) -> None:
    kept = MADE.contents.document() | {"version": version}
    with pytest.raises(ProbeError, match=f"format {version}, but this tidegauge reads format 1"):
        read_contents(kept)


def test_a_class_may_be_named_or_numbered() -> None:
    numbered = FREE.model_copy(update={"label": 1})
    named, by_number = (ProbeSet.of([lf], classes=["HAM", "SPAM"]) for lf in (FREE, numbered))
    assert named.id == by_number.id


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (re.compile("a"), {"type": "pattern", "pattern": "a", "flags": 32}),
        ({1: "a"}, {"1": "a"}),
        ({1: "a", "1": "b"}, {1: "b", "1": "a"}),
        ({"a", "b"}, ["a", "b"]),
        (re, "re"),
    ],
)
def test_what_differs_is_described_otherwise(one: Any, two: Any) -> None:
    assert digest(one) != digest(two)
    assert digest(one) == digest(one)


def test_the_order_of_a_dict_does_not_matter() -> None:
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    assert digest({1: "a", (2, 3): "b"}) == digest({(2, 3): "b", 1: "a"})


def test_a_dict_of_the_user_is_not_taken_for_code() -> None:
    @labeling_function(resources={"places": {"source": "web"}})
    def from_web(x: Any, places: dict[str, str]) -> int:
        return 1 if x.channel == places["source"] else -1

    assert '{"source": "web"}' in json.dumps(ProbeSet.of([from_web]).contents.document())
