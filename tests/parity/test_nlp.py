"""LFs over spaCy's docs: ours vote as Snorkel's, and each record is parsed once."""

from __future__ import annotations

import gc
import importlib
import random
import re
import shutil
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tidegauge_probes
from tests.parity.conftest import points
from tests.parity.required import needed
from tests.snorkel_stub import Snorkel
from tidegauge_probes import (
    ABSTAIN,
    ERROR,
    LabelingFunction,
    ProbeSet,
    SpacyPreprocessor,
    engine,
    labeling_function,
    nlp_labeling_function,
    nlp_slicing_function,
    preprocessor,
)
from tidegauge_probes.labeling import spacy_models
from tidegauge_probes.labeling.loading import load
from tidegauge_probes.lifting.lifting import Lifting
from tidegauge_probes.lifting.reader import readings

CLASSES = ("OTHER", "PERSON")
OTHER, PERSON = 0, 1
PEOPLE = ["Ada Lovelace", "Grace Hopper", "Alan Turing"]
PATTERNS = [{"label": "PERSON", "pattern": name} for name in PEOPLE]


spacy = needed("spacy")


@pytest.fixture(scope="module")
def counter() -> Callable[[], list[str]]:
    """Give the texts that went through a pipeline since the last call."""
    parsed: list[str] = []

    @spacy.Language.component("tidegauge_counter")
    def count(doc: Any) -> Any:
        parsed.append(doc.text)
        if "boom" in doc.text:
            raise RuntimeError("this component does not like boom")
        return doc

    def taken() -> list[str]:
        now = parsed.copy()
        parsed.clear()
        return now

    return taken


@pytest.fixture(scope="module")
def model(counter: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give a pipeline of rules in a folder: nothing to download."""
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    nlp.add_pipe("entity_ruler").add_patterns(PATTERNS)
    nlp.add_pipe("tidegauge_counter")
    folder = tmp_path_factory.mktemp("models") / "rules"
    nlp.to_disk(folder)
    return str(folder)


@pytest.fixture
def snorkels(snorkel: Snorkel) -> Iterator[Any]:
    """Give Snorkel's module; its class keeps the first settings it hears for good."""
    nlp = importlib.import_module("snorkel.labeling.lf.nlp")
    yield nlp
    if hasattr(nlp.NLPLabelingFunction, "_nlp_config"):
        del nlp.NLPLabelingFunction._nlp_config


def records(count: int, seed: int = 2) -> list[dict[str, Any]]:
    rng = random.Random(seed)
    parts = [*PEOPLE, "wrote 3 programs.", "see www.example.org", "The engine", "IS LOUD!", "ok?"]
    return [
        {"number": n, "text": " ".join(rng.choices(parts, k=rng.randint(0, 5)))}
        for n in range(count)
    ]


def lfs(decorator: Any, model: str, **settings: Any) -> list[Any]:
    made = {"language": model, **settings}

    @decorator(**made)
    def has_person(x: Any) -> int:
        return PERSON if any(ent.label_ == "PERSON" for ent in x.doc.ents) else ABSTAIN

    @decorator(**made)
    def two_people(x: Any) -> int:
        return PERSON if len({ent.text for ent in x.doc.ents}) > 1 else ABSTAIN

    @decorator(**made)
    def numbers(x: Any) -> int:
        return OTHER if any(token.like_num for token in x.doc) else ABSTAIN

    @decorator(name="links", **made)
    def has_url(x: Any) -> int:
        return OTHER if any(token.like_url for token in x.doc) else ABSTAIN

    @decorator(resources={"above": 2}, **made)
    def sentences(x: Any, above: int) -> int:
        return OTHER if len(list(x.doc.sents)) > above else ABSTAIN

    @decorator(**made)
    def shouting(x: Any) -> int:
        return OTHER if sum(t.is_upper for t in x.doc) > 1 else PERSON if len(x.doc) == 2 else -1

    @decorator(**made)
    def short(x: Any) -> int:
        return OTHER if len(x.doc) < 4 else ABSTAIN

    @decorator(**made)
    def title_case(x: Any) -> int:
        return PERSON if re.fullmatch(r"(Xx+ ?)+", " ".join(t.shape_ for t in x.doc)) else ABSTAIN

    return [has_person, two_people, numbers, has_url, sentences, shouting, short, title_case]


def run(probes: list[Any], data: list[dict[str, Any]], **settings: Any) -> Any:
    return engine.run(ProbeSet.of(probes, classes=CLASSES), data, **settings)


# -- the same votes ---------------------------------------------------------------------------


def test_votes_are_snorkels(snorkel: Snorkel, snorkels: Any, model: str) -> None:
    data = records(600)
    theirs = lfs(snorkels.nlp_labeling_function, model)
    expected = snorkel.LFApplier(theirs).apply(points(data), progress_bar=False)
    assert (((expected >= 0).mean(axis=0) > 0) & ((expected >= 0).mean(axis=0) < 1)).all()
    ours = lfs(nlp_labeling_function, model)
    run(ours, records(spacy_models.WARM, seed=1))  # from now on words are forgotten
    for probes in (theirs, ours):
        found = run(probes, data)
        assert (found.outcomes == expected).all()
        assert not found.faults
        of_python = ProbeSet.of(probes, classes=CLASSES)
        lifting = Lifting(of_python, readings(of_python), fewest=1)
        for name in ("checked", "not"):
            assert (run(probes, data, lifting=lifting, name=name).outcomes == expected).all()


def test_slicing_functions(snorkel: Snorkel, snorkels: Any, model: str) -> None:
    del snorkels
    from snorkel.slicing.sf import nlp as theirs

    def named(x: Any) -> bool:
        return bool(x.doc.ents)

    try:
        slices = [
            theirs.nlp_slicing_function(name="theirs", language=model)(named),
            nlp_slicing_function(name="ours", language=model)(named),
        ]
    finally:
        del theirs.NLPSlicingFunction._nlp_config
    data = records(200)
    expected = snorkel.slicing.SFApplier(slices[:1]).apply(points(data), progress_bar=False)
    probe_set = ProbeSet.of([LabelingFunction("a", lambda _: 0)], cardinality=2, slices=slices)
    segments = engine.run(probe_set, data).segments
    for column in (0, 1):
        assert segments[:, column].tolist() == expected["theirs"].astype(bool).tolist()
    assert 0 < segments.mean() < 1


# -- one parse per record ---------------------------------------------------------------------


def test_each_record_is_parsed_once_for_all_lfs_and_slices(model: str, counter: Any) -> None:
    data = records(50)
    probes = lfs(nlp_labeling_function, model)

    @nlp_slicing_function(language=model)
    def named(x: Any) -> bool:
        return bool(x.doc.ents)

    probe_set = ProbeSet.of(probes, classes=CLASSES, slices=[named])
    counter()
    for _ in range(2):
        engine.run(probe_set, data)
        assert counter() == [record["text"] for record in data]


def test_all_records_go_through_one_pipe(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    probes = lfs(nlp_labeling_function, model)
    (stage,) = probes[0]._pre
    piped: list[int] = []
    pipe = stage._nlp.pipe

    def recorded(texts: list[str]) -> Any:
        piped.append(len(texts))
        return pipe(texts)

    monkeypatch.setattr(stage._nlp, "pipe", recorded)
    run(probes, records(70))
    assert piped == [70]


def test_lfs_share_a_stage_by_its_settings(model: str, counter: Any) -> None:
    def make(**settings: Any) -> Any:
        return nlp_labeling_function(name="lf", language=model, **settings)(lambda _: ABSTAIN)

    one, same, other, fewer = make(), make(), make(doc_field="d"), make(disable=["sentencizer"])
    assert one._pre[0] is same._pre[0]
    assert len({id(lf._pre[0]) for lf in (one, other, fewer)}) == 3
    assert one._pre[0]._nlp is other._pre[0]._nlp, "a model is loaded once"
    assert "sentencizer" in one._pre[0]._nlp.pipe_names
    assert "sentencizer" not in fewer._pre[0]._nlp.pipe_names


def test_a_stage_ends_with_its_lfs(model: str) -> None:
    lf = nlp_labeling_function(name="lf", language=model, doc_field="mine")(lambda _: ABSTAIN)
    stage = weakref.ref(lf._pre[0])
    del lf
    gc.collect()
    assert stage() is None


def test_two_fields_of_one_record(model: str) -> None:
    @nlp_labeling_function(language=model, text_field="title", doc_field="title_doc")
    def titled(x: Any) -> int:
        return PERSON if x.title_doc.ents and not hasattr(x, "doc") else OTHER

    @nlp_labeling_function(language=model)
    def named(x: Any) -> int:
        return PERSON if x.doc.ents else OTHER

    @labeling_function()
    def clean(x: Any) -> int:
        return PERSON if hasattr(x, "doc") or hasattr(x, "title_doc") else OTHER

    data = [{"title": "Ada Lovelace", "text": "x"}, {"title": "x", "text": "Alan Turing"}]
    found = run([titled, named, clean], data)
    assert found.outcomes.tolist() == [[PERSON, OTHER, OTHER], [OTHER, PERSON, OTHER]]


def test_preprocessors_run_before_and_beside_it(model: str, counter: Any) -> None:
    @preprocessor()
    def lowered(x: Any) -> Any:
        x.text = x.text.lower()
        return x

    before = nlp_labeling_function(name="before", language=model, pre=[lowered])(
        lambda x: PERSON if x.doc.ents else OTHER
    )
    stage = SpacyPreprocessor("text", "doc", language=model)
    beside = LabelingFunction("beside", lambda x: len(x.doc.ents), pre=[lowered, stage])
    plain = LabelingFunction("plain", lambda x: len(x.doc.ents), pre=[stage])
    counter()
    found = run([before, beside, plain], [{"text": "Ada Lovelace"}])
    assert found.outcomes.tolist() == [[OTHER, 0, 1]]
    assert counter() == ["ada lovelace", "ada lovelace", "Ada Lovelace"]


def test_snorkels_stage_is_shared_and_forgotten(snorkels: Any, model: str, counter: Any) -> None:
    data = records(40)
    theirs = lfs(snorkels.nlp_labeling_function, model)
    counter()
    for _ in range(2):
        run(theirs, data)
        assert counter() == [record["text"] for record in data]
    assert theirs[0]._pre[0]._cache == {}


# -- nothing outlives the batch ---------------------------------------------------------------


class Mark:
    """Something to follow with a weak reference, which a doc does not allow."""


def test_docs_are_dropped_with_the_batch(model: str) -> None:
    marks: list[weakref.ref[Mark]] = []

    @nlp_labeling_function(language=model)
    def marked(x: Any) -> int:
        mark = x.doc.user_data.setdefault("mark", Mark())
        marks.append(weakref.ref(mark))
        return ABSTAIN

    @nlp_labeling_function(language=model)
    def still_there(x: Any) -> int:
        return PERSON if "mark" in x.doc.user_data else OTHER

    found = run([marked, still_there], records(20))
    assert (found.outcomes[:, 1] == PERSON).all(), "both see the same doc"
    gc.collect()
    assert [mark() for mark in marks] == [None] * 20


def test_new_words_are_forgotten_with_the_batch(model: str) -> None:
    probes = lfs(nlp_labeling_function, model)
    strings = probes[0]._pre[0]._nlp.vocab.strings
    run(probes, [{"text": f"common{n}"} for n in range(spacy_models.WARM)])
    before = len(strings)
    assert "common7" in strings, "the first words stay, to be quick"
    for batch in range(3):
        run(probes, [{"text": f"neverseen{batch}x{n} common{n}"} for n in range(100)])
    assert len(strings) == before


def test_snorkels_vocabulary_grows_as_under_snorkel(snorkels: Any, model: str) -> None:
    theirs = lfs(snorkels.nlp_labeling_function, model)
    strings = theirs[0]._pre[0]._nlp.vocab.strings
    before = len(strings)
    run(theirs, [{"text": f"unheard{n}"} for n in range(50)])
    assert len(strings) >= before + 50, "run as it is: told in docs/probes.md"


def test_one_batch_at_a_time_uses_a_pipeline(model: str) -> None:
    """The end of one batch frees words that are in the other's docs, too."""
    inside, go_on, second_ran = threading.Event(), threading.Event(), threading.Event()

    @nlp_labeling_function(language=model)
    def first(x: Any) -> int:
        inside.set()
        go_on.wait(timeout=60)
        return int(x.doc.text == "alone1")

    @nlp_labeling_function(language=model)
    def second(x: Any) -> int:
        second_ran.set()
        return int(x.doc.text == "alone2")

    found: dict[str, Any] = {}

    def work(lf: Any, text: str) -> None:
        found[text] = run([lf], [{"text": text}]).outcomes.tolist()

    one = threading.Thread(target=work, args=(first, "alone1"))
    two = threading.Thread(target=work, args=(second, "alone2"))
    one.start()
    assert inside.wait(timeout=60)
    two.start()
    early = second_ran.wait(timeout=0.3)
    go_on.set()
    one.join(timeout=60)
    two.join(timeout=60)
    assert not early
    assert found == {"alone1": [[1]], "alone2": [[1]]}


# -- failures ---------------------------------------------------------------------------------


def test_what_cannot_be_parsed_fails_alone(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    probes = lfs(nlp_labeling_function, model)[:2]
    monkeypatch.setattr(probes[0]._pre[0]._nlp, "max_length", 30)
    texts: list[Any] = ["Ada Lovelace", None, "boom", "word " * 10, 7, "Alan Turing", ""]
    found = run(probes, [*({"text": text} for text in texts), {"other": 1}])
    votes = [PERSON, ERROR, ERROR, ERROR, ERROR, PERSON, ABSTAIN, ERROR]
    assert found.outcomes[:, 0].tolist() == votes
    assert (found.outcomes[:, 1] == ERROR).tolist() == [vote == ERROR for vote in votes]
    types = [fault.type for fault in found.faults if fault.probe == 0]
    assert types == ["ValueError", "RuntimeError", "ValueError", "ValueError", "AttributeError"]


def test_a_preprocessor_that_fails_before_it(model: str) -> None:
    @preprocessor()
    def picky(x: Any) -> Any:
        if x.number == 1:
            raise KeyError("picky")
        return x

    stage = SpacyPreprocessor("text", "doc", language=model)
    nested = SpacyPreprocessor("text", "doc", language=model, pre=[picky])
    for chain in ([picky, stage], [nested], [stage, picky]):
        lf = LabelingFunction("lf", lambda x: len(x.doc) > 0, pre=chain)
        found = run([lf], [{"number": n, "text": "a"} for n in range(3)])
        assert found.outcomes[:, 0].tolist() == [1, ERROR, 1]
        assert [fault.type for fault in found.faults] == ["KeyError"]


def test_no_records(model: str) -> None:
    assert run(lfs(nlp_labeling_function, model), []).outcomes.shape == (0, 8)


def test_a_subclass_of_the_preprocessor_does_what_it_says(model: str) -> None:
    class Shouted(SpacyPreprocessor):
        def run(self, text: str) -> Any:  # type: ignore[override]
            return super().run(text.upper())

    lf = LabelingFunction("lf", lambda x: x.doc.text == "A", pre=[Shouted("text", "doc", model)])
    assert run([lf], [{"text": "a"}]).outcomes.tolist() == [[1]]


def test_a_missing_model_says_what_to_do() -> None:
    with pytest.raises(tidegauge_probes.ProbeError, match=r"'no_such_model'.*spacy download"):
        nlp_labeling_function(language="no_such_model")(lambda _: ABSTAIN)


# -- names of ProbeSets -----------------------------------------------------------------------


def identity(decorator: Any, model: str | Path, **settings: Any) -> str:
    return ProbeSet.of(lfs(decorator, str(model), **settings), classes=CLASSES).id


def test_the_id_follows_the_models_files_not_their_folder(model: str, tmp_path: Path) -> None:
    first = identity(nlp_labeling_function, model)
    shutil.copytree(model, tmp_path / "copy")
    assert identity(nlp_labeling_function, tmp_path / "copy") == first
    assert identity(nlp_labeling_function, model, disable=["sentencizer"]) != first
    nlp = spacy.load(model)
    nlp.get_pipe("entity_ruler").add_patterns([{"label": "PERSON", "pattern": "Edsger"}])
    nlp.to_disk(tmp_path / "changed")
    assert identity(nlp_labeling_function, tmp_path / "changed") != first


def test_the_id_stays_when_records_have_been_seen(snorkels: Any, model: str) -> None:
    for decorator in (snorkels.nlp_labeling_function, nlp_labeling_function):
        probes = lfs(decorator, model)
        before = ProbeSet.of(probes, classes=CLASSES).id
        run(probes, records(30))
        assert ProbeSet.of(probes, classes=CLASSES).id == before


def test_the_id_of_a_pipeline_made_in_memory() -> None:
    def of(nlp: Any) -> str:
        lf = LabelingFunction("lf", lambda x, nlp: len(nlp(x.text)), resources={"nlp": nlp})
        return ProbeSet.of([lf], cardinality=2).id

    with_sentences = spacy.blank("en")
    with_sentences.add_pipe("sentencizer")
    assert of(spacy.blank("en")) == of(spacy.blank("en"))
    assert of(spacy.blank("en")) != of(with_sentences)


LF_MODULE = """
from snorkel.slicing.sf.nlp import nlp_slicing_function as theirs
from tidegauge_probes import nlp_labeling_function, nlp_slicing_function

@nlp_labeling_function(language={model!r})
def long_text(x):
    return int(len(x.doc) > 3)

@nlp_slicing_function(language={model!r})
def named(x):
    return bool(x.doc.ents)

@theirs(language={model!r})
def named_too(x):
    return bool(x.doc.ents)

LFS = [long_text, named, named_too]
"""


def test_loaded_by_path_in_another_process(snorkel: Snorkel, tmp_path: Path) -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("entity_ruler").add_patterns(PATTERNS)
    nlp.to_disk(tmp_path / "model")
    text = LF_MODULE.format(model=str(tmp_path / "model"))
    (tmp_path / "nlp_lfs_of_a_user.py").write_text(text)
    loaded = load("nlp_lfs_of_a_user:LFS", base=tmp_path)
    assert [probe.name for probe in loaded.probes] == ["long_text"]
    assert [piece.name for piece in loaded.slices] == ["named", "named_too"]
    found = engine.run(loaded, [{"text": "Ada Lovelace"}, {"text": "a b c d"}])
    assert found.outcomes.tolist() == [[0], [1]]
    assert found.segments.tolist() == [[True, True], [False, False]]
    script = (
        "import sys, pathlib, warnings; warnings.simplefilter('ignore')\n"
        "from tests.snorkel_stub import load_snorkel; load_snorkel()\n"
        "from tidegauge_probes import load\n"
        "print(load('nlp_lfs_of_a_user:LFS', base=pathlib.Path(sys.argv[1])).id)"
    )
    for seed in ("0", "1"):
        done = subprocess.run(
            [sys.executable, "-c", script, str(tmp_path)],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(filter(None, sys.path))},
            cwd=Path(__file__).resolve().parents[2],
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() == loaded.id


def test_the_docs_are_the_pipelines_own(model: str) -> None:
    """All of a doc, not only what some LFs ask: token by token against a call for each text."""
    seen: list[Any] = []
    first: list[Any] = []

    @nlp_labeling_function(language=model)
    def keep(x: Any) -> int:
        seen.append(x.doc.to_json())
        return ABSTAIN

    data = records(80)
    for _ in range(1 + spacy_models.WARM // len(data)):  # before and after words are forgotten
        seen.clear()
        run([keep], data)
        first = first or seen.copy()
    plain = spacy.load(model)
    assert first == seen == [plain(record["text"]).to_json() for record in data]
    assert np.mean([len(doc["ents"]) for doc in seen]) > 0


def test_the_documented_lf_runs(model: str) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "probes.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n([^`]*@nlp_labeling_function[^`]*)```", page)
    names: dict[str, Any] = {}
    code = block.replace("en_core_web_sm", model).replace('"parser"', '"sentencizer"')
    exec(code, names)  # noqa: S102  (the page's own words)
    found = run([names["has_person"]], [{"text": "Ada Lovelace"}, {"text": "nobody"}])
    assert found.outcomes.tolist() == [[0], [ABSTAIN]]
