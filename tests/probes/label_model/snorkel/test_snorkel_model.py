"""A saved Snorkel LabelModel is read without running it, and means the same here."""

from __future__ import annotations

import collections
import io
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tidegauge_probes.errors import BaselineError
from tidegauge_probes.label_model.dawid_skene import DawidSkene
from tidegauge_probes.label_model.snorkel import snorkel_model, snorkel_pickle
from tidegauge_probes.label_model.snorkel.pickle_machine import Inert

FOLDER = Path(__file__).parents[2] / "snorkel_model"
SAVED = (FOLDER / "label_model.pkl").read_bytes()
SNORKEL = np.load(FOLDER / "expected.npz")


def state(**changes: Any) -> dict[str, Any]:
    return {**snorkel_pickle.read(SAVED), **changes}


def tables(**changes: Any) -> DawidSkene:
    """Return P(LF says s | class) of the imported model."""
    found = snorkel_model.label_model(state(**changes)).tables
    assert isinstance(found, DawidSkene)
    return found


# -- What it means ----------------------------------------------------------------------------


def test_the_tables_are_snorkels_conditional_probabilities() -> None:
    """Snorkel's cprobs[i, j, y] = P(λ_i = j − 1 | Y = y); here the abstain comes last."""
    model = tables()
    assert np.allclose(model.emission[:, :3], SNORKEL["cprobs"][:, 1:], atol=1e-6)
    assert np.allclose(model.emission[:, 3], SNORKEL["cprobs"][:, 0], atol=1e-6)
    assert np.allclose(model.emission.sum(axis=1), 1)
    assert np.allclose(model.prior, SNORKEL["p"])
    assert model.records == 4_000
    assert model.votes.tolist() == SNORKEL["votes"].tolist()


def test_mu_is_indexed_by_lf_and_then_by_label() -> None:
    """mu[i·K + l, y] = P(λ_i = l | Y = y)."""
    mu = np.array([[0.5, 0.1], [0.2, 0.3], [0.01, 0.6], [0.04, 0.15], [0.3, 0.2], [0.1, 0.7]])
    prior = np.array([0.5, 0.5])
    together = np.einsum("ay,by,y->ab", mu, mu, prior)
    np.fill_diagonal(together, mu @ prior)
    changes = {"p": prior, "O": together, "n": 2_000, "_parameters": {"mu": mu}}
    model = tables(**changes)
    for lf in range(3):
        for label in range(2):
            assert np.allclose(model.emission[lf, label], mu[lf * 2 + label])
    assert model.votes.tolist() == [[600, 500], [610, 190], [500, 800]]
    assert not (model.dependent & ~np.eye(3, dtype=np.bool_)).any()


def test_classes_get_snorkels_probabilities_where_abstains_are_left_out() -> None:
    model = tables()
    logs = np.log(model.emission)
    for votes, expected in zip(SNORKEL["L"], SNORKEL["proba"], strict=True):
        score = np.log(model.prior) + sum(logs[i, v] for i, v in enumerate(votes) if v >= 0)
        found = np.exp(score - score.max())
        assert np.allclose(found / found.sum(), expected, atol=1e-5)


def test_what_adds_up_to_more_than_one_leaves_room_for_an_abstain() -> None:
    mu = np.full((18, 3), 0.6)
    model = tables(_parameters={"mu": mu})
    assert np.allclose(model.emission[:, :3], 1 / 3, atol=1e-5)
    assert (model.emission > 0).all()
    assert np.allclose(model.emission.sum(axis=1), 1)


def test_pairs_that_the_model_does_not_explain_are_not_used_on_each_other() -> None:
    together = np.array(state()["O"])
    together[0, 4] = together[4, 0] = together[0, 0]  # LF 0 votes 0 only where LF 1 votes 1
    model = snorkel_model.label_model(state(O=together))
    assert model.dependent[0, 1]
    assert model.dependent[1, 0]
    assert not snorkel_model.label_model(state()).dependent[0, 1]


def test_a_number_of_records_that_cannot_be_is_asked_for() -> None:
    with pytest.raises(BaselineError, match=r"was not fitted on 137 records.*pass --records"):
        snorkel_model.label_model(state(n=137))
    assert snorkel_model.label_model(state(n=137), records=4_000).records == 4_000
    with pytest.raises(BaselineError, match=r"does not say how many records.*pass --records"):
        snorkel_model.label_model(state(n=None))


NOT_FITTED: list[tuple[dict[str, Any], str]] = [
    ({"_parameters": {}}, "it has no mu: save the LabelModel after `fit`"),
    ({"p": None}, "it has no p"),
    ({"O": Inert()}, "it has no O"),
    ({"p": np.array([0.5, 0.5])}, "do not match: fit it again"),
    ({"O": np.eye(3)}, "do not match"),
    ({"_parameters": {"mu": np.full((18, 3), np.nan)}}, "not probabilities"),
    ({"_parameters": {"mu": np.full((18, 3), -0.1)}}, "not probabilities"),
    ({"p": np.array([1.0, 0.0, 0.0])}, "not probabilities"),
    ({"p": np.array([1.0, np.nan, 0.0])}, "not probabilities"),
    ({"O": np.full((18, 18), np.nan)}, "not shares of the records"),
    ({"O": np.full((18, 18), 1e300)}, "not shares of the records"),
]


@pytest.mark.parametrize(("changes", "says"), NOT_FITTED)
def test_a_model_that_was_not_fitted_is_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(BaselineError, match=says):
        snorkel_model.label_model(state(**changes))


# -- How it is read ---------------------------------------------------------------------------


def test_objects_of_snorkel_and_torch_are_empty() -> None:
    found = snorkel_pickle.read(SAVED)
    assert isinstance(found["optimizer"], Inert)
    assert isinstance(found["c_tree"], Inert)
    assert found["cardinality"] == 3
    assert found["mu_init"].shape == (18, 3)
    assert found["mask"].dtype == np.bool_


class Whole:
    """Pickled as if it were a LabelModel."""


def test_a_label_model_that_was_pickled_whole_is_read() -> None:
    whole = Whole()
    whole.__dict__.update(cardinality=2, p=np.array([0.25, 0.75]))
    module = Whole.__module__.encode()
    dumped = pickle.dumps(whole, protocol=3).replace(
        b"c" + module + b"\nWhole\n", b"csnorkel.labeling.model.label_model\nLabelModel\n"
    )
    assert snorkel_pickle.read(dumped)["p"].tolist() == [0.25, 0.75]


class Runs:
    def __init__(self, f: Callable[..., Any], *arguments: Any) -> None:
        self.call = (f, arguments)

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize(
    ("f", "argument"),
    [(os.system, "touch ran"), (eval, "open('ran', 'w')"), (getattr, "x"), (__import__, "os"),
     (io.open, "ran"), (collections.Counter, "a"), (np.load, "ran"), (pickle.loads, b"")],
)  # fmt: skip
def test_what_would_run_is_refused_and_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, f: Callable[..., Any], argument: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    for protocol in range(6):
        dumped = pickle.dumps({"p": Runs(f, argument)}, protocol=protocol)
        with pytest.raises(BaselineError, match=r"it names .*, which no saved LabelModel holds"):
            snorkel_pickle.read(dumped)
    assert list(tmp_path.iterdir()) == []


def test_what_hides_in_a_tensor_is_refused_too(tmp_path: Path) -> None:
    """A tensor's numbers are pickles of their own, which torch itself would run."""
    evil = pickle.dumps(Runs(os.system, f"touch {tmp_path}/ran"))
    outer = b"ctorch.storage\n_load_from_bytes\n" + pickle.dumps(evil, protocol=3)[2:-1]
    with pytest.raises(BaselineError, match=r"it names .*system"):
        snorkel_pickle.read(outer + b"\x85R.")
    assert list(tmp_path.iterdir()) == []


def test_a_tensor_cannot_reach_beyond_its_numbers() -> None:
    numbers = np.arange(6, dtype=np.float32)
    assert snorkel_pickle._tensor(numbers, 1, (2, 2), (2, 1)).tolist() == [[1, 2], [3, 4]]
    assert snorkel_pickle._tensor(numbers, 0, (3, 2), (1, 3)).tolist() == [[0, 3], [1, 4], [2, 5]]
    for offset, shape, strides in (
        (0, (7,), (1,)), (3, (2, 2), (2, 1)), (-1, (2,), (1,)), (0, (2,), (-1,)),
        (0, (10**9,), (0,)),
    ):  # fmt: skip
        with pytest.raises(BaselineError, match=r"larger than its numbers|without a valid shape"):
            snorkel_pickle._tensor(numbers, offset, shape, strides)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "it is not a pickle of a LabelModel"),
        (b"not a pickle", "it is not a pickle of a LabelModel"),
        (SAVED[:2_000], "it is not a pickle of a LabelModel"),
        (
            b"PK\x03\x04rest",
            r"written by torch.save: save it with Snorkel's `label_model.save\(path\)`",
        ),
        (pickle.dumps([1, 2]), "it holds a list, not the attributes of a LabelModel"),
        (b"\x80\x02K\x01Q.", "refers to something outside"),
    ],
)
def test_what_is_no_saved_model_is_refused(content: bytes, says: str) -> None:
    with pytest.raises(BaselineError, match=says):
        snorkel_pickle.read(content)
