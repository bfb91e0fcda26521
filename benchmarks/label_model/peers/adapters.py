"""Runs one label model on votes: ``python adapters.py NAME in.npz out.npz``, where it is installed.

In: ``votes`` int8 [n, m], −1 an abstain; ``train`` bool [n]; ``classes``. Out: ``scores`` [n, K].
Nothing of tidegauge is imported: it is not installed there.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np


def snorkel(votes: Any, train: Any, classes: int) -> Any:
    """Return the probabilities of Snorkel's LabelModel, as its tutorial fits it."""
    from snorkel.labeling.model import LabelModel  # noqa: PLC0415

    model = LabelModel(cardinality=classes, verbose=False)
    model.fit(votes[train].astype(np.int64), n_epochs=500, seed=1, progress_bar=False)
    return model.predict_proba(votes.astype(np.int64))


def crowd_kit(votes: Any, train: Any, classes: int) -> Any:
    """Return the probabilities of crowd-kit's Dawid-Skene: votes alone, silence is no answer."""
    import pandas as pd  # noqa: PLC0415
    from crowdkit.aggregation import DawidSkene  # noqa: PLC0415

    del train
    rows, columns = np.nonzero(votes >= 0)
    said = pd.DataFrame({"task": rows, "worker": columns, "label": votes[rows, columns]})
    found = DawidSkene(n_iter=100).fit_predict_proba(said)
    scores = np.full((len(votes), classes), 1 / classes)
    scores[found.index.to_numpy()] = found.reindex(columns=range(classes)).fillna(0).to_numpy()
    return scores


MODELS: dict[str, Callable[[Any, Any, int], Any]] = {
    "snorkel": snorkel,
    "crowd-kit": crowd_kit,
}


def main() -> None:
    """Run the model that is named."""
    name, source, target = sys.argv[1:]
    with np.load(source) as given:
        scores = MODELS[name](given["votes"], given["train"], int(given["classes"]))
    np.savez(target, scores=scores)


if __name__ == "__main__":
    main()
