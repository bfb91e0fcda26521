"""Counts and shares are those of Snorkel's ``LFAnalysis``, number by number."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.testing import assert_allclose, assert_array_equal

from tests.parity.conftest import Suite
from tests.snorkel_stub import Snorkel
from tidegauge_probes import ERROR
from tidegauge_probes.counts import analysis, gold, panes
from tidegauge_probes.counts.panes import PaneCounts
from tidegauge_probes.errors import CountsError
from tidegauge_probes.model import VoteMatrix

pytestmark = [
    pytest.mark.filterwarnings("ignore:Input has data type:FutureWarning"),  # snorkel calls scipy
    # Snorkel divides by an LF's coverage, which may be 0.
    pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning"),
]

Votes = npt.NDArray[np.int64]


def pane(votes: Votes, classes: int) -> PaneCounts:
    n, m = votes.shape
    matrix = VoteMatrix(votes.astype(np.int8), np.zeros((n, 0), np.bool_), np.zeros(m))
    return panes.fold(matrix, classes, {})


def truth(suite: Suite) -> Votes:
    """Make gold labels that LFs are right about more often than not."""
    rng = random.Random(3)
    k = len(suite.classes)
    votes = [row[row >= 0].tolist() for row in suite.votes]
    made = [rng.choice([*some, rng.randrange(k)]) for some in votes]
    return np.array(made, dtype=np.int64)


def assert_same_analysis(snorkel: Snorkel, votes: Votes, classes: int) -> None:
    ours, theirs = pane(votes, classes), snorkel.LFAnalysis(votes)
    assert analysis.label_coverage(ours) == theirs.label_coverage()
    assert analysis.label_overlap(ours) == theirs.label_overlap()
    assert analysis.label_conflict(ours) == theirs.label_conflict()
    assert analysis.polarities(ours.all) == theirs.lf_polarities()
    assert_array_equal(analysis.lf_coverages(ours), theirs.lf_coverages())
    assert_allclose(analysis.lf_overlaps(ours), theirs.lf_overlaps(), rtol=1e-12)
    assert_allclose(analysis.lf_conflicts(ours), theirs.lf_conflicts(), rtol=1e-12)
    by_coverage = analysis.lf_overlaps(ours, normalize_by_coverage=True)
    by_overlaps = analysis.lf_conflicts(ours, normalize_by_overlaps=True)
    # Where there is nothing to divide by, Snorkel says 0 and we say that there is nothing.
    assert_allclose(
        np.nan_to_num(by_coverage), theirs.lf_overlaps(normalize_by_coverage=True), rtol=1e-12
    )
    assert_allclose(
        np.nan_to_num(by_overlaps), theirs.lf_conflicts(normalize_by_overlaps=True), rtol=1e-12
    )
    assert np.isnan(by_coverage).tolist() == (ours.all.votes == 0).tolist()
    assert np.isnan(by_overlaps).tolist() == (ours.all.overlaps == 0).tolist()


def test_without_gold(snorkel: Snorkel, suite: Suite) -> None:
    assert_same_analysis(snorkel, suite.votes, len(suite.classes))


@settings(max_examples=150)
@given(st.data(), st.integers(2, 4))
def test_any_matrix(snorkel: Snorkel, data: st.DataObject, classes: int) -> None:
    shape = data.draw(st.tuples(st.integers(1, 8), st.integers(1, 5)))
    votes = data.draw(arrays.arrays(np.int64, shape, elements=st.integers(-1, classes - 1)))
    assert_same_analysis(snorkel, votes, classes)


def test_the_summary(snorkel: Snorkel, suite: Suite) -> None:
    gold_labels = truth(suite)
    theirs = snorkel.LFAnalysis(suite.votes, suite.lfs).lf_summary(Y=gold_labels)
    k = len(suite.classes)
    against = gold.confusions(suite.votes.astype(np.int8), gold_labels, k)
    ours = analysis.lf_summary(pane(suite.votes, k), tuple(lf.name for lf in suite.lfs), against)
    assert list(ours.index) == list(theirs.index)
    assert [c for c in ours.columns if c != "Errors"] == list(theirs.columns)
    for column in theirs.columns:
        if column == "Polarity":
            assert ours[column].tolist() == theirs[column].tolist()
        else:
            assert_allclose(ours[column], theirs[column], rtol=1e-12, err_msg=column)
    assert (ours["Errors"] == 0).all()
    assert (theirs["Correct"] > 0).all()
    assert (theirs["Incorrect"] > 0).all()


def test_accuracies_and_tables_against_gold(snorkel: Snorkel, suite: Suite) -> None:
    gold_labels, k = truth(suite), len(suite.classes)
    reference = snorkel.LFAnalysis(suite.votes)
    counted = gold.confusions(suite.votes.astype(np.int8), gold_labels, k)
    assert_allclose(
        gold.empirical_accuracies(counted), reference.lf_empirical_accuracies(gold_labels)
    )
    abstains_last = np.roll(reference.lf_empirical_probs(gold_labels, k), -1, axis=1)
    assert_allclose(gold.empirical_probs(counted), abstains_last)


def test_confusions_add(suite: Suite) -> None:
    gold_labels, k = truth(suite), len(suite.classes)
    votes = suite.votes.astype(np.int8)
    parts = [slice(0, 400), slice(400, 401), slice(401, None)]
    added = sum((gold.confusions(votes[p], gold_labels[p], k) for p in parts), start=np.int64(0))
    assert_array_equal(added, gold.confusions(votes, gold_labels, k))


def test_buckets(snorkel: Snorkel, suite: Suite) -> None:
    labels = [truth(suite), suite.votes[:, 0], suite.votes[:, 1]]
    ours = gold.label_buckets(*labels)
    theirs = snorkel.analysis.get_label_buckets(*labels)
    assert {key: rows.tolist() for key, rows in ours.items()} == {
        tuple(map(int, key)): rows.tolist() for key, rows in theirs.items()
    }
    assert len(ours) > 4


# -- where we differ on purpose ---------------------------------------------------------------


def test_a_silent_lf_has_no_accuracy_where_snorkel_says_0(snorkel: Snorkel) -> None:
    votes = np.array([[-1, 1], [-1, 1], [-1, 0]])
    counted = gold.confusions(votes.astype(np.int8), [1, 0, 0], 2)
    theirs = snorkel.LFAnalysis(votes).lf_empirical_accuracies(np.array([1, 0, 0]))
    assert_allclose(theirs, [0, 2 / 3])
    assert_allclose(gold.empirical_accuracies(counted), [np.nan, 2 / 3])


def test_unknown_gold_counts_for_nothing_where_snorkel_counts_it_as_wrong(
    snorkel: Snorkel,
) -> None:
    votes = np.array([[1], [1], [0]])
    truths = np.array([1, -1, 1])
    counted = gold.confusions(votes.astype(np.int8), truths, 2)
    assert_allclose(snorkel.LFAnalysis(votes).lf_empirical_accuracies(truths), [1 / 3])
    assert_allclose(gold.empirical_accuracies(counted), [1 / 2])


def test_a_failure_is_neither_right_nor_wrong() -> None:
    votes = np.array([[1], [ERROR], [-1]], dtype=np.int8)
    counted = gold.confusions(votes, [1, 1, 1], 2)
    assert counted.tolist() == [[[0, 0], [0, 1], [0, 1], [0, 1]]]
    assert gold.empirical_accuracies(counted).tolist() == [1]
    assert gold.empirical_probs(counted)[0, :, 1].tolist() == [0, 0.5, 0.5]
    assert np.isnan(gold.empirical_probs(counted)[0, :, 0]).all()


@pytest.mark.parametrize("labels", [[0, 1], [0, 1, 2], [0, 1, -2], [0.0, 1.0, 1.0], [[0, 1, 1]]])
def test_gold_that_does_not_fit_is_refused(labels: Any) -> None:
    with pytest.raises(CountsError, match="gold labels must be"):
        gold.confusions(np.zeros((3, 1), np.int8), labels, 2)


@pytest.mark.parametrize("labels", [[], [[0, 1], [0]], [[[0, 1]]]])
def test_buckets_of_nothing_alike_are_refused(labels: Any) -> None:
    with pytest.raises(CountsError, match="same length"):
        gold.label_buckets(*labels)
