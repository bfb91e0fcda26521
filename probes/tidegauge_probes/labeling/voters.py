"""LFs that pass on a vote that is in the record already.

A legacy model's label, an LLM's answer, another system's rule (``external``), or the label of the
deployed model itself (``prediction``): each value stands for a class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from tidegauge_probes.columns.batch import Batch
from tidegauge_probes.documents.spec import ExactSpec
from tidegauge_probes.errors import ProbeError, nearest
from tidegauge_probes.labeling.contents import VoterContents
from tidegauge_probes.model import ABSENT, ABSTAIN, ERROR, Fault, Outcomes

_MOST_SHOWN = 80
_SCALARS = frozenset({str, int, float})


class Voted(ExactSpec):
    """Where the vote is, and which class each value stands for; null is an abstain."""

    field: str = Field(description="Path of the field, e.g. `model.label`.")
    votes: dict[str, str | int] | None = Field(
        default=None, description="Value → class. If not given, values are class names."
    )
    abstains: list[str] = Field(default=[], description="Values that count as abstaining.")


class VoterSpec(ExactSpec):
    """A vote that is in the record already, as people write it."""

    EXACTLY_ONE: ClassVar[tuple[str, ...]] = ("external", "prediction")

    name: Annotated[str, Field(min_length=1, max_length=200)]
    description: str = ""
    external: Voted | None = None
    prediction: Voted | None = None


@dataclass(frozen=True)
class VoterProbe:
    """An LF that reads a vote. ``votes``: value as a text → class, or ABSTAIN."""

    name: str
    field: str
    votes: Mapping[str, int]
    deployed: bool
    """Whether this is the deployed model."""

    @property
    def labels(self) -> tuple[int, ...]:
        """Return the classes that its values stand for."""
        return tuple(sorted({vote for vote in self.votes.values() if vote != ABSTAIN}))

    def contents(self) -> VoterContents:
        return VoterContents(self.name, self.field, dict(self.votes), self.deployed)

    def outcomes(self, batch: Batch, column: int, cardinality: int) -> tuple[Outcomes, list[Fault]]:
        """Return what the values stand for; one that stands for nothing is an error."""
        del cardinality  # checked when the ProbeSet was made
        values = batch.column(self.field).values
        result = np.full(len(values), ERROR, dtype=np.int8)
        faults = []
        for row, value in enumerate(values):
            vote = ABSTAIN if value is None else self.votes.get(_as_text(value))
            if vote is not None:
                result[row] = vote
            else:
                faults.append(Fault(column, row, *self._why(value)))
        return result, faults

    def _why(self, value: Any) -> tuple[str, str]:
        if value is ABSENT:
            return "missing_field", f"the record has no field '{self.field}'"
        known = ", ".join(sorted(self.votes))[:_MOST_SHOWN]
        return "unknown_value", f"'{self.field}' is {value!r:.80}, not one of {known}"


def _as_text(value: Any) -> str:
    """Return a value as YAML's keys are written here: texts as they are, ``True`` as ``true``."""
    if type(value) is bool:
        return "true" if value else "false"
    return str(value) if type(value) in _SCALARS else ""


def as_voter(spec: VoterSpec, classes: Sequence[str]) -> VoterProbe:
    """Return the probe; ProbeError if a value stands for a class that there is not."""
    where = spec.external or spec.prediction
    if where is None:  # VoterSpec has seen to it
        raise TypeError(spec)
    meant = where.votes or {name: name for name in classes}
    votes = {value: _class_of(spec.name, label, classes) for value, label in meant.items()}
    votes |= dict.fromkeys(where.abstains, ABSTAIN)
    return VoterProbe(spec.name, where.field, votes, deployed=spec.prediction is not None)


def _class_of(name: str, label: str | int, classes: Sequence[str]) -> int:
    if label in classes:
        return classes.index(str(label))
    if isinstance(label, int) and 0 <= label < len(classes):
        return label
    msg = f"labeling function '{name}': unknown label {label!r}{nearest(str(label), classes)}"
    raise ProbeError(msg)
