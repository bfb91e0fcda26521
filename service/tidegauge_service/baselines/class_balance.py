"""Class shares that people know: ``ham=.9,spam=.1``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from tidegauge_probes.errors import BaselineError

Floats = npt.NDArray[np.float64]

EXAMPLE: Final = "ham=.9,spam=.1"
TOLERANCE: Final = 1e-6
"""How far the sum may be from 1."""


def parse_balance(text: str) -> dict[str, float]:
    """Read class shares as the command line has them; BaselineError if they are none.

    >>> parse_balance("ham=.9, spam=.1")
    {'ham': 0.9, 'spam': 0.1}
    """
    found: dict[str, float] = {}
    for part in text.split(","):
        name, _, share = part.rpartition("=")
        try:
            value = float(share)
        except ValueError:
            name = ""
            value = 0.0
        if not name.strip() or name.strip() in found:
            msg = f"'{text}' is not a class balance: write one share per class, e.g. {EXAMPLE}"
            raise BaselineError(msg)
        found[name.strip()] = value
    return found


def class_balance(given: Mapping[str, float] | None, classes: Sequence[str]) -> Floats | None:
    """Return the shares in the order of *classes*, float64 [K]; None if none are given.

    BaselineError if a class is unknown or missing, or they are not positive shares that add up to
    1.
    """
    if given is None:
        return None
    unknown, missing = (
        ", ".join(sorted(names)) for names in (set(given) - set(classes), set(classes) - set(given))
    )
    if unknown or missing:
        wrong = f"names '{unknown}'" if unknown else f"leaves out '{missing}'"
        msg = f"the class balance {wrong}; give a share for each of {', '.join(classes)}"
        raise BaselineError(msg)
    shares = np.array([given[name] for name in classes], dtype=np.float64)
    if not (shares > 0).all() or not abs(float(shares.sum()) - 1) <= TOLERANCE:
        said = ", ".join(f"{name}={given[name]:g}" for name in classes)
        msg = f"the class balance must be positive shares that add up to 1, not {said}"
        raise BaselineError(msg)
    return np.asarray(shares / shares.sum())
