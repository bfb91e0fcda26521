"""A ProbeSet written as a file is the ProbeSet that was written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.probes import lifting_lfs
from tests.probes.lifting.test_lifting import GOOD
from tests.probes.lifting.test_translation import MADE, RECORD
from tests.probes.lifting_lfs import LIFTED, NOT_LIFTED, short
from tidegauge_probes import LabelingFunction, ProbeSet, engine, load
from tidegauge_probes.authoring.probe_file import document
from tidegauge_probes.labeling.templates import SliceSpec, TemplateSpec
from tidegauge_probes.labeling.voters import VoterSpec

CLASSES = ("no: 1", "SPAM")
"""A name that YAML would take for something else."""


def nowhere(_: Any) -> None:
    return None


def of(*lfs: Any, slices: Any = ()) -> ProbeSet:
    return ProbeSet.of(lfs, classes=CLASSES, slices=slices)


def read(text: str, folder: Path) -> ProbeSet:
    (folder / "written.yaml").write_text(text, encoding="utf-8")
    return load("written.yaml", folder)


ALL = of(*LIFTED, *NOT_LIFTED, slices=[short])


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> ProbeSet:
    return read(document(ALL, nowhere).text(), tmp_path_factory.mktemp("written"))


@given(records=st.lists(RECORD, max_size=30))
def test_what_is_read_again_has_the_outcomes_of_the_lfs(
    written: ProbeSet, records: list[dict[str, Any]]
) -> None:
    columns = {probe.name: column for column, probe in enumerate(ALL.probes)}
    python = engine.run(ALL, [*records, *GOOD])
    made = engine.run(written, [*records, *GOOD])
    for column, probe in enumerate(written.probes):
        expected = python.outcomes[:, columns[probe.name]]
        assert made.outcomes[:, column].tolist() == expected.tolist(), probe.name
    assert made.segments.tolist() == python.segments.tolist()


def test_every_lf_is_a_template_or_has_a_reason() -> None:
    found = document(ALL, nowhere)
    assert [entry.name for entry in found.probes] == [probe.name for probe in ALL.probes]
    made = {entry.name for entry in found.probes if entry.why is None}
    assert made == {probe.name for probe in of(*MADE).probes}
    assert all(entry.keys is None for entry in found.entries if entry.why)
    assert found.probe_set().classes == CLASSES


def test_templates_and_votes_stay_what_they_are(tmp_path: Path) -> None:
    lfs = [
        TemplateSpec.model_validate({"name": "a", "label": 1, "not": {"missing": {"field": "b"}}}),
        TemplateSpec.model_validate(
            {"name": "b", "label": "SPAM", "description": "B", "regex": {"pattern": "\x85'\"#: "}}
        ),
        VoterSpec.model_validate(
            {"name": "c", "external": {"field": "v", "votes": {"on": 1, "1": 0}, "abstains": ["?"]}}
        ),
        VoterSpec.model_validate({"name": "d", "prediction": {"field": "v"}}),
    ]
    piece = SliceSpec.model_validate({"name": "s", "length": {"above": 3}})
    some = of(*lfs, slices=[piece])
    again = read(document(some, nowhere).text(), tmp_path)
    records = [{"v": v, "b": b, "text": "\x85'\"#: "} for v in ("on", "1", "?") for b in ("", "x")]
    one, other = (engine.run(each, records) for each in (some, again))
    assert one.outcomes.tolist() == other.outcomes.tolist()
    assert one.segments.tolist() == other.segments.tolist()


def test_what_stays_python_is_named_by_its_path_under_its_reason() -> None:
    some = of(lifting_lfs.contains, lifting_lfs.tries)
    text = document(some, lambda lf: f"lfs:{lf.name}").text()
    held = yaml.safe_load(text)
    assert held["probes"][1] == {"python": "lfs:tries"}
    (line,) = [line for line in text.splitlines() if "tries is not a template" in line]
    assert line.startswith("  # tries is not a template: `try: …` in line ")


def test_a_name_cannot_end_a_comment(tmp_path: Path) -> None:
    some = of(
        LabelingFunction("a\n  - python: evil:LFS\n", lifting_lfs.tries._f), lifting_lfs.contains
    )
    text = document(some, nowhere).text()
    assert [probe.name for probe in read(text, tmp_path).probes] == ["contains"]


def test_what_a_file_cannot_hold_stays_python() -> None:
    lf = LabelingFunction("n" * 201, lambda x: 1 if "k" in x.text else -1)
    (entry,) = document(of(lf), nowhere).probes
    assert entry.why == "its names or constants cannot be written to a file"


@given(st.text(min_size=1) | st.sampled_from(["\n", "a\x85b", "\u2028", "🙂 # x", "yes", "1", "~"]))
def test_words_of_any_characters_are_read_as_they_were_written(word: str) -> None:
    spec = TemplateSpec.model_validate({"name": "a", "label": 1, "keyword": {"any": [word]}})
    held = yaml.safe_load(document(of(spec), nowhere).text())
    assert held["probes"] == [{"name": "a", "label": "SPAM", "keyword": {"any": [word]}}]


def test_refused_lfs_stay_python_for_the_reason_given() -> None:
    found = document(of(lifting_lfs.contains), nowhere, {"contains": "it differs"})
    assert found.probes[0].why == "it differs"
