"""What two ProbeSets differ in is told from what is kept of them, without any source."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tidegauge_probes import ProbeSet, labeling_function, load, preprocessor
from tidegauge_probes.authoring.difference import Aspect, Difference, LfChange, Part, compare
from tidegauge_probes.labeling.contents import Contents, TemplateContents, read_contents
from tidegauge_probes.labeling.loading import load_contents

FREE = {"name": "free", "label": "SPAM", "keyword": {"any": ["free"]}}
SHORT = {"name": "short", "label": "HAM", "length": {"unit": "words", "below": 3}}
MODEL = {"name": "model", "prediction": {"field": "model.label"}}
NOTHING = Part((), (), (), ())
SPAM, EGGS = 1, 0


def templates(folder: Path, *probes: dict[str, Any], **more: Any) -> ProbeSet:
    found = {"classes": ["HAM", "SPAM"], "probes": list(probes), **more}
    (folder / "probes.yaml").write_text(yaml.safe_dump(found))
    return load("probes.yaml", folder)


def python(name: str, text: str, **more: Any) -> Any:
    """Return an LF of a source text of its own, as a module would hold it."""

    def f(x: Any) -> int:
        return SPAM if text in x.text else -1

    return labeling_function(name=name, **more)(f)


def kept(probe_set: ProbeSet) -> Contents:
    """Return what the database gives back."""
    return read_contents(json.loads(json.dumps(probe_set.contents.document())))


def difference(before: ProbeSet, after: ProbeSet) -> Difference:
    """Compare as the service does: from JSON."""
    return compare(kept(before), kept(after))


def test_a_probe_set_does_not_differ_from_itself(tmp_path: Path) -> None:
    found = difference(templates(tmp_path, FREE, MODEL), templates(tmp_path, FREE, MODEL))
    assert found == Difference(NOTHING, NOTHING, None)
    assert found.empty


def test_lfs_are_added_and_removed(tmp_path: Path) -> None:
    found = difference(templates(tmp_path, FREE, SHORT), templates(tmp_path, SHORT, MODEL))
    assert found.probes == Part(("model",), ("free",), (), ())
    assert not found.empty


def test_equal_content_under_another_name_is_renamed(tmp_path: Path) -> None:
    before = templates(tmp_path, FREE, SHORT)
    found = difference(before, templates(tmp_path, FREE | {"name": "gratis"}, SHORT))
    assert found.probes == Part((), (), (("free", "gratis"),), ())
    other = FREE | {"name": "gratis", "label": "HAM"}
    assert difference(before, templates(tmp_path, other, SHORT)).probes == Part(
        ("gratis",), ("free",), (), ()
    )


def test_one_of_two_twins_that_are_gone_is_renamed_once(tmp_path: Path) -> None:
    before = templates(tmp_path, FREE, FREE | {"name": "again"}, SHORT)
    after = templates(tmp_path, SHORT, FREE | {"name": "gratis"})
    assert difference(before, after).probes == Part((), ("again",), (("free", "gratis"),), ())


@pytest.mark.parametrize(
    ("before", "after", "aspects"),
    [
        (FREE, FREE | {"keyword": {"any": ["free"], "whole_word": True}}, (Aspect.PARAMETERS,)),
        (FREE, FREE | {"keyword": {"any": ["free", "gift"]}}, (Aspect.PARAMETERS,)),
        (FREE, FREE | {"label": "HAM"}, (Aspect.LABEL,)),
        (MODEL, MODEL | {"prediction": {"field": "label"}}, (Aspect.PARAMETERS,)),
        (
            MODEL,
            MODEL | {"prediction": {"field": "model.label", "votes": {"s": "SPAM"}}},
            (Aspect.LABEL,),
        ),
        (FREE, {**SHORT, "name": "free"}, (Aspect.PARAMETERS, Aspect.LABEL)),
    ],
)
def test_what_of_a_template_changed(
    tmp_path: Path, before: dict[str, Any], after: dict[str, Any], aspects: tuple[Aspect, ...]
) -> None:
    found = difference(templates(tmp_path, before), templates(tmp_path, after))
    assert found.probes.changed == (LfChange(before["name"], aspects),)


def test_another_order_of_the_classes_is_no_other_label(tmp_path: Path) -> None:
    before = templates(tmp_path, FREE, SHORT)
    after = templates(tmp_path, FREE, SHORT, classes=["SPAM", "HAM"])
    assert before.id != after.id
    assert difference(before, after) == Difference(
        NOTHING, NOTHING, (("HAM", "SPAM"), ("SPAM", "HAM"))
    )


def test_slices_are_compared_on_their_own(tmp_path: Path) -> None:
    long = {"name": "long", "length": {"above": 100}}
    found = difference(templates(tmp_path, FREE), templates(tmp_path, FREE, slices=[long]))
    assert (found.probes, found.slices) == (NOTHING, Part(("long",), (), (), ()))


def test_what_of_a_python_lf_changed() -> None:
    @preprocessor()
    def lowered(x: Any) -> Any:
        return x

    @labeling_function(name="lf")
    def other(x: Any) -> int:
        return SPAM if x.text else -1

    @labeling_function(name="lf")
    def constant(x: Any) -> int:
        return EGGS if x.text else -1

    def changed(before: Any, after: Any) -> tuple[Aspect, ...]:
        found = difference(ProbeSet.of([before]), ProbeSet.of([after]))
        (change,) = found.probes.changed
        assert found.probes == Part((), (), (), (change,))
        return change.aspects

    before = python("lf", "free")
    assert changed(before, python("lf", "gift")) == (Aspect.PARAMETERS,), "what it closes over"
    resources = {"resources": {"words": ["a"]}}
    assert changed(before, python("lf", "free", **resources)) == (Aspect.PARAMETERS,)
    assert changed(before, python("lf", "free", pre=[lowered])) == (Aspect.PREPROCESSORS,)
    assert Aspect.SOURCE in changed(before, other)
    assert changed(other, constant) == (Aspect.SOURCE, Aspect.PARAMETERS)


def test_a_python_function_may_be_renamed() -> None:
    @labeling_function(name="first")
    def f(x: Any) -> int:
        return SPAM if x.text else -1

    before = ProbeSet.of([f, python("kept", "a")])

    @labeling_function(name="second")
    def g(x: Any) -> int:
        return SPAM if x.text else -1

    found = difference(before, ProbeSet.of([g, python("kept", "a")]))
    assert found.probes == Part((), (), (("first", "second"),), ())


def test_no_source_is_kept() -> None:
    secret = python("lf", "free")
    assert "return SPAM" not in json.dumps(ProbeSet.of([secret]).contents.document())


def test_templates_are_built_again_and_python_is_not(tmp_path: Path) -> None:
    made = templates(tmp_path, FREE, MODEL, slices=[{"name": "long", "length": {"above": 9}}])
    again = load_contents(kept(made), made.id)
    assert again is not None
    assert (again, again.id) == (made, made.id)
    assert load_contents(kept(made), "another") is None
    mixed = ProbeSet.of([python("lf", "free")])
    assert load_contents(kept(mixed), mixed.id) is None


WORDS = st.sampled_from(["free", "gift", "thanks"])
SETS = st.dictionaries(st.sampled_from("abcdef"), st.tuples(WORDS, st.booleans()), min_size=1)


@given(SETS, SETS)
def test_every_lf_is_accounted_for_once(
    first: dict[str, tuple[str, bool]], second: dict[str, tuple[str, bool]]
) -> None:
    def templates_of(chosen: dict[str, tuple[str, bool]]) -> Contents:
        rows = [
            TemplateContents(name, {"keyword": {"any": [word]}}, int(spam))
            for name, (word, spam) in chosen.items()
        ]
        return Contents(("HAM", "SPAM"), tuple(rows))

    found = compare(templates_of(first), templates_of(second)).probes
    same = {name for name in first if first[name] == second.get(name)}
    names_changed = {change.name for change in found.changed}
    assert {*found.removed, *(a for a, _ in found.renamed), *names_changed} | same == set(first)
    assert {*found.added, *(b for _, b in found.renamed), *names_changed} | same == set(second)
    assert all(first[a] == second[b] for a, b in found.renamed)
    assert not {first[n] for n in found.removed} & {second[n] for n in found.added}
