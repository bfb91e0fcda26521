"""A label model as arrays and facts: the form in which a baseline stores it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from tidegauge_probes.label_model.dawid_skene import DawidSkene
from tidegauge_probes.label_model.model import LabelModel, LabelModelKind
from tidegauge_probes.lazy import LazyModule

if TYPE_CHECKING:
    from scipy import sparse
else:
    sparse = LazyModule("scipy.sparse", extra="statistics")

Floats = npt.NDArray[np.float64]
Arrays = Mapping[str, npt.NDArray[Any]]

_FIELDS: Final = (
    "prior", "prior_sd", "pi", "mix", "gram", "votes", "dependent", "spread", "sd",
)  # fmt: skip


class LabelModelFacts(msgspec.Struct, frozen=True):
    """Everything that is not an array."""

    kind: LabelModelKind
    records: int
    labels: int
    given: bool


def facts(model: LabelModel) -> LabelModelFacts:
    """Return everything that is not an array."""
    return LabelModelFacts(model.kind, model.records, model.labels, model.given)


def arrays(model: LabelModel) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays by name."""
    found = {name: getattr(model, name) for name in _FIELDS}
    similar = model.similar.tocoo()
    rows, columns = similar.coords
    found |= {"similar": np.stack([rows, columns, similar.data]).astype(np.float64)}
    if model.tables is not None:
        found |= {"tables.prior": model.tables.prior, "tables.emission": model.tables.emission}
    return found


def of_parts(found: LabelModelFacts, parts: Arrays, lfs: int, classes: int) -> LabelModel:
    """Return the model; ValueError if the parts belong to other LFs or classes."""
    given = {name: parts[name] for name in _FIELDS}
    m, k, every = lfs, classes, lfs * classes
    shapes = {
        "prior": (k,), "prior_sd": (k,), "pi": (every, k), "mix": (k,), "gram": (every, every),
        "votes": (m, k), "dependent": (m, m), "spread": (every,), "sd": (every,),
    }  # fmt: skip
    if any(given[name].shape != shape for name, shape in shapes.items()):
        msg = "its label model belongs to other LFs or classes"
        raise ValueError(msg)
    given["dependent"] = given["dependent"].astype(np.bool_)
    rows, columns, values = parts["similar"].reshape(3, -1)
    places = (rows.astype(np.int64), columns.astype(np.int64))
    similar = sparse.csr_array((values, places), shape=(every, every))
    tables = None
    if "tables.emission" in parts:
        emission = parts["tables.emission"]
        if emission.shape != (m, k + 1, k):
            msg = "the tables of its label model belong to other LFs or classes"
            raise ValueError(msg)
        dependent, votes = given["dependent"], given["votes"]
        tables = DawidSkene(parts["tables.prior"], emission, votes, found.records, dependent)
    return LabelModel(
        kind=found.kind,
        records=found.records,
        labels=found.labels,
        given=found.given,
        similar=similar,
        tables=tables,
        **given,
    )
