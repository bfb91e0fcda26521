"""Convert Snorkel's LabelModel to the label model of a baseline.

Snorkel (0.10.0, `LabelModel._init_params`) keeps

    mu[i·K + l, y] = P(λ_i = l | Y = y),   p[y] = P(Y = y),   O = E[ψψᵀ]

with ψ the one-hot votes; LF i abstains with the remaining probability. Snorkel itself ignores
abstains when it predicts; here they are a symbol of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tidegauge_probes.errors import BaselineError
from tidegauge_probes.label_model.dawid_skene import DawidSkene, Floats, dependence
from tidegauge_probes.label_model.kinds import imported
from tidegauge_probes.label_model.model import LabelModel

LEAST: Final = 1e-6
"""No probability is 0 or 1: what Snorkel has learned may add up to more than 1."""

MOST_NUMBERS: Final = 50_000_000
"""Maximum numbers in a matrix, 8 bytes each; 3,500 LFs with two classes have this many."""

_WHOLE: Final = 0.01
"""How far a count may be from a whole number, since shares are stored as 32-bit floats."""


def label_model(state: Mapping[str, Any], records: int | None = None) -> LabelModel:
    """Return the label model for the attributes of a fitted Snorkel LabelModel.

    Without the votes nothing can be checked, so it gets kind ``votes``, with precisions as
    uncertain as they can be: it shows which LFs changed, but no levels. *records*: how many it was
    fitted on; by default, what it says itself. BaselineError if it was not fitted, or contradicts
    *records* (`predict_proba` overwrites its number).
    """
    parameters = state.get("_parameters")
    held = parameters if isinstance(parameters, Mapping) else {}
    mu = _array(state.get("mu", held.get("mu")), "mu")
    prior = _array(state.get("p"), "p")
    together = _array(state.get("O"), "O")
    k = len(prior) if prior.ndim == 1 else 0
    m = len(mu) // k if k else 0
    if k < 2 or mu.shape != (m * k, k) or together.shape != (m * k, m * k):  # noqa: PLR2004
        msg = f"mu, p and O have the shapes {mu.shape}, {prior.shape}, {together.shape}"
        raise BaselineError(f"{msg}, which do not match: fit it again with Snorkel 0.9 or later")
    if not (np.isfinite(mu).all() and (mu >= 0).all() and (prior > 0).all()):
        msg = "mu or p holds values that are not probabilities: fit it again"
        raise BaselineError(msg)
    if not (np.abs(together) <= 1 + _WHOLE).all():  # false for NaN, too
        msg = "O holds values that are not shares of the records: fit it again"
        raise BaselineError(msg)
    prior = prior / prior.sum()
    n = records or _records(state.get("n"))
    votes = _votes(np.diag(together), n).reshape(m, k)
    says = mu.reshape(m, k, k)
    emission = _emission(says)
    dependent = dependence(together, emission[:, :k], prior, n)
    return imported(DawidSkene(prior, emission, votes, n, dependent), together)


def _array(value: Any, name: str) -> Floats:
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiu":
        msg = f"it has no {name}: save the LabelModel after `fit`"
        raise BaselineError(msg)
    if value.size > MOST_NUMBERS:
        msg = f"its {name} has {value.size} numbers; at most {MOST_NUMBERS} are supported"
        raise BaselineError(msg)
    with np.errstate(invalid="ignore"):  # a signalling NaN, which is refused like any other
        return np.array(value, dtype=np.float64)


def _records(n: Any) -> int:
    if isinstance(n, int) and n > 0:
        return n
    msg = "it does not say how many records it was fitted on: pass --records"
    raise BaselineError(msg)


def _votes(shares: Floats, records: int) -> npt.NDArray[np.int64]:
    """Return how often each vote was cast, which must be a whole number."""
    votes = shares * records
    whole = np.rint(votes)
    if (np.abs(votes - whole) > _WHOLE + 2e-7 * whole).any():
        msg = (
            f"it was not fitted on {records} records (Snorkel's predict_proba overwrites "
            "that number): pass --records, the number of rows of L_train"
        )
        raise BaselineError(msg)
    return whole.astype(np.int64)


def _emission(says: Floats) -> Floats:
    """Return P(symbol | class), float64 [m, K + 1, K], from P(vote | class), [m, K, K]."""
    says = np.maximum(says, LEAST)
    says = says * np.minimum(1.0, (1 - LEAST) / says.sum(axis=1, keepdims=True))
    return np.asarray(np.concatenate([says, 1 - says.sum(axis=1, keepdims=True)], axis=1))
