"""What an author is told of LFs before they are deployed."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from tests.probes import lifting_lfs
from tidegauge_probes import LabelingFunction, ProbeSet, labeling_function
from tidegauge_probes.authoring import review
from tidegauge_probes.authoring.review import Failing, RunMode, WarningKind
from tidegauge_probes.columns.batch import Batch
from tidegauge_probes.labeling.templates import SliceSpec, TemplateSpec
from tidegauge_probes.labeling.voters import VoterSpec
from tidegauge_probes.lifting.lifting import Lifting
from tidegauge_probes.lifting.reader import readings

CLASSES = ("HAM", "SPAM")
SPAM = 1
RECORDS: list[dict[str, Any]] = [
    {"text": text, "links": n, "author": None} for n, text in enumerate(["a prize", "k", "", "b"])
]


def template(name: str, label: int = SPAM, **condition: Any) -> TemplateSpec:
    return TemplateSpec.model_validate({"name": name, "label": label, **condition})


PRIZE = template("prize", keyword={"any": ["prize"]})


def of(*lfs: Any, slices: Any = ()) -> ProbeSet:
    return ProbeSet.of(lfs, classes=CLASSES, slices=slices)


def warned(trial: review.Trial) -> set[tuple[str, WarningKind]]:
    return {(warning.name, warning.kind) for warning in trial.warnings}


# -- Words ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "says"),
    [
        ({"keyword": {"any": ["a"], "case": True}}, "text holds “a”"),
        (
            {"keyword": {"all": ["a", "b", "c"], "whole_word": True}},
            "text holds “a”, “b” and “c” as whole words, in any case",
        ),
        ({"regex": {"pattern": "a.b"}}, "text matches /a.b/, in any case"),
        ({"numeric": {"field": "n", "at_least": 3, "below": 7.5}},
         "n is at least 3 and less than 7.5"),
        ({"length": {"unit": "words", "below": 5}}, "text has fewer than 5 words"),
        ({"length": {"unit": "words", "at_most": 2}}, "text has at most 2 words"),
        ({"categorical": {"field": "c", "one_of": ["x", True, 1]}}, "c is “x”, true or 1"),
        ({"categorical": {"field": "c", "none_of": ["x"]}}, "c is not “x”"),
        ({"lookup": {"values": ["a", "b"]}}, "text is “a” or “b”, in any case"),
        ({"missing": {"field": "a.b"}}, "a.b is absent, null or empty"),
        ({"is_null": {"field": "c"}}, "c is null"),
        ({"not": {"is_null": {"field": "c"}}}, "not (c is null)"),
        (
            {"all": [{"missing": {}}, {"any": [{"is_null": {}}, {"missing": {}}]}]},
            "text is absent, null or empty and (text is null or text is absent, null or empty)",
        ),
    ],
)  # fmt: skip
def test_templates_are_told_in_words(condition: dict[str, Any], says: str) -> None:
    (one,) = review.describe(of(template("lf", **condition)))
    assert (one.matches, one.labels, one.runs_as) == (says, ("SPAM",), RunMode.TEMPLATE)


def test_of_long_lists_the_first_are_shown() -> None:
    many = template("lf", keyword={"any": [f"w{n}" for n in range(20)], "case": True})
    (one,) = review.describe(of(many))
    assert one.matches.endswith("“w6”, “w7” or 12 more")


# -- How an LF runs ---------------------------------------------------------------------------


def test_it_is_said_how_each_lf_runs_and_why_not_otherwise() -> None:
    voter = VoterSpec.model_validate({"name": "old", "external": {"field": "verdict"}})
    lifted = (lifting_lfs.contains, lifting_lfs.number, lifting_lfs.length, lifting_lfs.counted)
    piece = SliceSpec.model_validate({"name": "long", "length": {"above": 9}})
    descriptions = review.describe(of(PRIZE, voter, *lifted, lifting_lfs.tries, slices=[piece]))
    found = {one.name: one for one in descriptions}
    assert [one.runs_as for one in descriptions] == [
        RunMode.TEMPLATE, RunMode.VOTER, *[RunMode.LIFTED] * 4, RunMode.PYTHON, RunMode.TEMPLATE,
    ]  # fmt: skip
    assert found["old"].matches == "the vote in verdict"
    assert found["old"].labels == CLASSES
    assert found["contains"].matches == "text holds “check”, in any case"
    assert found["contains"].labels == ("SPAM",)
    assert found["counted"].matches == "decided by its Python code"
    assert re.fullmatch(r"`try: …` in line \d+ \(try\) is not supported", str(found["tries"].why))
    assert found["tries"].labels == ("SPAM",), "every return gives a constant"


def test_what_could_be_lifted_is_told_where_it_is_not_worth_it() -> None:
    some = of(lifting_lfs.contains, lifting_lfs.with_docstring_and_local)
    for one in review.describe(some):
        assert one.runs_as is RunMode.PYTHON
        assert one.why == (
            "could be compiled, but tidegauge compiles Python LFs only if there are at least 4"
        )
    assert not Lifting(some, readings(some)).lifted


def test_what_no_template_says_is_told_in_its_authors_words() -> None:
    @labeling_function()
    def twice(x: Any) -> int:
        """Hold k twice.

        And more.
        """
        return SPAM if x.text.count("k") > 1 else -1

    (one,) = review.describe(of(twice))
    assert one.matches == "Hold k twice."
    assert one.labels == ("SPAM",)
    partial_votes = review.describe(of(lifting_lfs.partly))[0]
    assert partial_votes.labels == ("HAM", "SPAM"), "the branch that is not lifted says so, too"


def test_the_classes_of_an_lf_that_is_not_lifted_are_those_it_returns() -> None:
    def tries(x: Any) -> int:
        if x.req["ua"] == "bot":
            return SPAM
        try:
            return -1 if int(x.text) else 1
        except ValueError:
            return -1

    def variable(x: Any) -> int:
        label = 0
        if x.req["ua"]:
            label = SPAM
        return label

    def computed(x: Any) -> int:
        return len(x.req["ua"]) - 1

    def too_many(x: Any) -> int:
        return 7 if x.req["ua"] else -1

    lambdas = LabelingFunction("lambda", lambda x: 0 if x.req["ua"] else SPAM)
    made = [LabelingFunction(f.__name__, f) for f in (tries, variable, computed, too_many)]
    assert [one.labels for one in review.describe(of(*made, lambdas))] == [
        ("SPAM",), None, None, None, ("HAM", "SPAM"),
    ]  # fmt: skip


# -- On a sample ------------------------------------------------------------------------------


def test_shares_and_costs_are_those_of_the_sample() -> None:
    trial = review.run_trial(of(PRIZE, lifting_lfs.number), RECORDS)
    prize, number = trial.lfs
    assert (prize.labels, prize.coverage, prize.errors) == (("SPAM",), 0.25, 0)
    assert (number.coverage, number.labels) == (0.0, ())
    assert min(prize.microseconds, number.microseconds) > 0
    assert trial.records == 4


def test_who_never_or_always_fires_or_says_what_another_says_is_named() -> None:
    never = template("never", keyword={"any": ["nowhere"]})
    nor = template("nor", keyword={"any": ["anywhere"]})
    always = template("always", length={"at_least": 0})
    other = template("other", regex={"pattern": "pri[z]e"})
    ham = template("ham", label=0, keyword={"any": ["prize"]})
    trial = review.run_trial(of(PRIZE, never, nor, always, other, ham), RECORDS)
    assert warned(trial) == {
        ("never", WarningKind.NEVER_FIRES),
        ("nor", WarningKind.NEVER_FIRES),
        ("always", WarningKind.ALWAYS_FIRES),
        ("other", WarningKind.SAME_VOTES),
    }
    (same,) = [warning for warning in trial.warnings if warning.kind is WarningKind.SAME_VOTES]
    assert same.message == "votes the same as prize on the whole sample"


def test_the_same_content_is_named_whatever_it_is_written_in() -> None:
    def python(x: Any) -> int:
        return SPAM if "k" in x.text else -1

    written = template("b", keyword={"any": ["k"], "case": True, "on_null": "error"})
    again = LabelingFunction("c", python)
    other_class = template("d", label=0, keyword={"any": ["k"], "case": True, "on_null": "error"})
    some = of(LabelingFunction("a", python), written, again, other_class, lifting_lfs.tries)
    found = {(w.name, w.message.partition(":")[0]) for w in review.same_content(some)}
    assert found == {("b", "has the same content as a"), ("c", "has the same content as a")}


def lacks_attribute(x: Any) -> int:
    return SPAM if x.nowhere else -1


def lacks_item(x: Any) -> int:
    return SPAM if x["nowhere"] else -1


def adds(x: Any) -> int:
    return SPAM if x.author + 1 else -1


def holds(x: Any) -> int:
    return SPAM if "k" in x.author else -1


@pytest.mark.parametrize(
    ("lf", "kind", "field"),
    [
        (lacks_attribute, "AttributeError", "nowhere"),
        (lacks_item, "KeyError", "nowhere"),
        (holds, "TypeError", "author"),
        (adds, "TypeError", None),
        (template("gone", numeric={"field": "a.b", "above": 1}), "missing_field", "a.b"),
        (template("wrong", numeric={"field": "text", "above": 1}), "wrong_type", "text"),
        (VoterSpec.model_validate({"name": "v", "external": {"field": "text"}}),
         "unknown_value", "text"),
    ],
)  # fmt: skip
def test_an_error_comes_with_its_type_and_field(lf: Any, kind: str, field: str | None) -> None:
    trial = review.run_trial(of(lf, PRIZE), RECORDS)
    (failing,) = {(one.type, one.field) for one in trial.failing}
    assert failing == (kind, field)
    assert sum(one.records for one in trial.failing) == 4
    name = trial.lfs[0].name
    assert (name, WarningKind.FAILS) in warned(trial)


def test_errors_of_a_slicing_function_are_told_too() -> None:
    piece = SliceSpec.model_validate({"name": "piece", "length": {"field": "links", "above": 9}})
    trial = review.run_trial(of(PRIZE, slices=[piece]), RECORDS)
    message = "field 'links' is int, not a string"
    assert trial.failing == (Failing("piece", "wrong_type", "links", 4, message),)


def test_lifted_lfs_are_timed_as_they_will_run_and_compared_with_themselves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lifted = (lifting_lfs.contains, lifting_lfs.number, lifting_lfs.length, lifting_lfs.counted)
    some = of(PRIZE, *lifted)
    assert WarningKind.LIFTED_DIFFERS not in {
        kind for _, kind in warned(review.run_trial(some, RECORDS))
    }
    monkeypatch.setattr("tidegauge_probes.lifting.lifting.decide", all_spam)
    trial = review.run_trial(some, RECORDS)
    differ = {name for name, kind in warned(trial) if kind is WarningKind.LIFTED_DIFFERS}
    assert differ == {"contains", "number", "length", "counted"}


def all_spam(_tree: object, _reads: object, batch: Batch) -> Any:
    return np.ones(len(batch), dtype=np.int8), np.zeros(len(batch), dtype=np.bool_)
