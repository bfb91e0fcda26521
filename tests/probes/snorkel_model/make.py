"""Makes `label_model.pkl` and `expected.npz`, with Snorkel 0.10.0 and a torch.

They were made with torch 1.13.1 and numpy 1.24: `python tests/probes/snorkel_model/make.py FOLDER`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

SHARES = [0.5, 0.3, 0.2]


def votes(rng: np.random.Generator, n: int = 4_000) -> np.ndarray:
    """Return L [n, 6] of three classes; LF 3 votes for two of them."""
    y = rng.choice(3, size=n, p=SHARES)
    found = np.full((n, 6), -1)
    for lf in range(6):
        cast = rng.random(n) < np.where(y == lf % 3, 0.5, 0.05)
        found[cast, lf] = lf % 3
        if lf == 3:
            found[~cast & (rng.random(n) < 0.1), lf] = 1
    return found


def main(folder: Path) -> None:
    """Fit, save, and write down what Snorkel says."""
    from snorkel.labeling.model.label_model import LabelModel  # it needs torch

    train = votes(np.random.default_rng(0))
    model = LabelModel(cardinality=3, verbose=False)
    model.fit(train, class_balance=SHARES, n_epochs=300, seed=1, progress_bar=False, log_freq=1000)
    model.save(str(folder / "label_model.pkl"))
    np.savez(
        folder / "expected.npz",
        cprobs=model.get_conditional_probs(),
        L=train[:200].astype(np.int8),
        proba=model.predict_proba(train[:200]),
        votes=np.array([[(column == k).sum() for k in range(3)] for column in train.T]),
        p=model.p,
        weights=model.get_weights(),
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
