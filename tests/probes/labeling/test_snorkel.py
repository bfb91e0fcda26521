"""Snorkel's objects run unchanged, and vote the same; its analysis gives the same numbers."""

from __future__ import annotations

import re
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from tests.snorkel_stub import Snorkel
from tidegauge_probes import ProbeSet, engine
from tidegauge_probes.counts import analysis, panes
from tidegauge_probes.model import ABSTAIN, Outcomes, VoteMatrix
from tidegauge_service.demo.generator import batch
from tidegauge_service.demo.plan import Plan

HAM, SPAM = 0, 1
RECORDS = 5_000


@pytest.fixture(scope="module")
def records() -> list[dict[str, Any]]:
    return batch(seed=11, start=0, count=RECORDS, plan=Plan(dirty_share=0.0))


@pytest.fixture(scope="module")
def lfs(snorkel: Snorkel) -> list[Any]:  # noqa: C901  (many small LFs)
    """LFs in the styles of Snorkel's spam tutorial, written anew."""
    labeling_function = snorkel.labeling_function
    calls = {"n": 0}

    @snorkel.preprocessor(memoize=True)
    def lowered(x: Any) -> Any:
        calls["n"] += 1
        x.lower = x.text.lower()
        return x

    @snorkel.preprocessor(pre=[lowered])
    def counted(x: Any) -> Any:
        x.words = x.lower.split()
        return x

    @labeling_function()
    def mentions_pills(x: Any) -> int:
        return SPAM if "pill" in x.text.lower() else ABSTAIN

    @labeling_function(pre=[lowered])
    def check_out(x: Any) -> int:
        return SPAM if re.search(r"check\b.*\bout", x.lower) else ABSTAIN

    @labeling_function(pre=[counted])
    def short(x: Any) -> int:
        return HAM if len(x.words) < 12 else ABSTAIN

    @labeling_function(pre=[lowered, counted])
    def long_winded(x: Any) -> int:
        return SPAM if len(x.words) > 40 else ABSTAIN

    @labeling_function(resources={"words": {"meeting", "agenda", "invoice"}})
    def business(x: Any, words: set[str]) -> int:
        return HAM if words & set(x.text.lower().split()) else ABSTAIN

    @labeling_function(name="both_ways")
    def either(x: Any) -> int:
        return SPAM if x.links > 2 else HAM if x.links == 0 else ABSTAIN

    @labeling_function()
    def numpy_vote(x: Any) -> Any:
        return np.int64(SPAM) if x.channel == "web" and x.links else np.int32(ABSTAIN)

    @labeling_function()
    def boolean(x: Any) -> Any:
        return x.author is None if x.links else ABSTAIN

    def keyword(x: Any, keywords: list[str], label: int) -> int:
        return label if any(word in x.text.lower() for word in keywords) else ABSTAIN

    def make(keywords: list[str], label: int) -> Any:
        return snorkel.LabelingFunction(
            name=f"keyword_{keywords[0]}",
            f=keyword,
            resources={"keywords": keywords, "label": label},
        )

    class Shouting(snorkel.LabelingFunction):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__("shouting", self._vote)

        @staticmethod
        def _vote(x: Any) -> int:
            capitals = sum(c.isupper() for c in x.text)
            return SPAM if capitals > 0.08 * len(x.text) else ABSTAIN

    class OwnCall(snorkel.LabelingFunction):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__("own_call", lambda _: ABSTAIN)

        def __call__(self, x: Any) -> int:
            return HAM if x.text.endswith("!") else ABSTAIN

    return [
        mentions_pills,
        check_out,
        short,
        long_winded,
        business,
        either,
        numpy_vote,
        boolean,
        make(["thanks", "thank you"], HAM),
        make(["prize", "winner"], SPAM),
        Shouting(),
        OwnCall(),
        snorkel.LabelingFunction("partial", partial(keyword, keywords=["free"], label=SPAM)),
        snorkel.LabelingFunction("lambda", lambda x: SPAM if "http" in x.text else ABSTAIN),
    ]


@pytest.fixture(scope="module")
def theirs(snorkel: Snorkel, lfs: list[Any], records: list[dict[str, Any]]) -> Outcomes:
    points = [SimpleNamespace(**record) for record in records]
    votes: Outcomes = snorkel.LFApplier(lfs).apply(points, progress_bar=False)
    return votes


def test_votes_equal_snorkels_cell_by_cell(
    lfs: list[Any], records: list[dict[str, Any]], theirs: Outcomes
) -> None:
    ours = engine.run(ProbeSet.of(lfs, cardinality=2), records)
    assert ours.outcomes.shape == (RECORDS, len(lfs))
    assert (ours.outcomes == theirs).all()
    assert not ours.faults
    assert ((theirs >= 0).mean(axis=0) > 0).all(), "an LF that never votes shows nothing"


def test_votes_equal_the_pandas_applier(
    snorkel: Snorkel, lfs: list[Any], records: list[dict[str, Any]]
) -> None:
    import pandas as pd

    few = records[:300]
    # pandas' Series has its own `.lower`-less attributes; only LFs on plain fields run there.
    plain = [lf for lf in lfs if not lf._pre]
    frame = pd.DataFrame(few).astype({"author": object})
    frame["author"] = frame["author"].where(frame["author"].notna(), None)
    theirs = snorkel.PandasLFApplier(plain).apply(frame, progress_bar=False)
    ours = engine.run(ProbeSet.of(plain, cardinality=2), few)
    assert (ours.outcomes == theirs).all()


@pytest.mark.filterwarnings("ignore:Input has data type:FutureWarning")  # snorkel calls scipy
def test_counts_equal_lf_analysis(snorkel: Snorkel, lfs: list[Any], theirs: Outcomes) -> None:
    m = len(lfs)
    matrix = VoteMatrix(theirs.astype(np.int8), np.zeros((RECORDS, 0), np.bool_), np.zeros(m))
    pane = panes.fold(matrix, 2, {})
    reference = snorkel.LFAnalysis(theirs, lfs)
    assert analysis.label_coverage(pane) == reference.label_coverage()
    assert analysis.label_overlap(pane) == reference.label_overlap()
    assert analysis.label_conflict(pane) == reference.label_conflict()
    assert_allclose(analysis.lf_coverages(pane), reference.lf_coverages(), rtol=1e-12)
    assert_allclose(analysis.lf_overlaps(pane), reference.lf_overlaps(), rtol=1e-12)
    assert_allclose(analysis.lf_conflicts(pane), reference.lf_conflicts(), rtol=1e-12)
    assert analysis.polarities(pane.all) == reference.lf_polarities()
    summary = analysis.lf_summary(pane, tuple(lf.name for lf in lfs))
    expected = reference.lf_summary()
    assert list(summary.index) == list(expected.index)
    for column in ("j", "Polarity", "Coverage", "Overlaps", "Conflicts"):
        assert summary[column].tolist() == expected[column].tolist()


def test_slicing_functions_run_unchanged(
    snorkel: Snorkel, lfs: list[Any], records: list[dict[str, Any]]
) -> None:
    @snorkel.slicing_function()
    def from_mail(x: Any) -> bool:
        return bool(x.channel == "mail")

    found = engine.run(ProbeSet.of(lfs[:1], cardinality=2, slices=[from_mail]), records)
    assert found.segments[:, 0].tolist() == [r["channel"] == "mail" for r in records]


def test_memoised_preprocessors_keep_nothing_after_the_batch(
    lfs: list[Any], records: list[dict[str, Any]]
) -> None:
    engine.run(ProbeSet.of(lfs, cardinality=2), records[:100])
    lowered = lfs[1]._pre[0]
    assert lowered.memoize
    assert len(lowered._cache) == 0


def test_a_snorkel_lf_that_changes_is_another_probe_set(snorkel: Snorkel) -> None:
    def make(word: str) -> Any:
        return snorkel.LabelingFunction("lf", lambda x: SPAM if word in x.text else ABSTAIN)

    def probe_set(word: str) -> str:
        return ProbeSet.of([make(word)], cardinality=2).id

    assert probe_set("free") == probe_set("free")
    assert probe_set("free") != probe_set("prize")
