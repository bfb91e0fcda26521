"""What the LFs say together: the label model, precision, accuracy."""

from __future__ import annotations

from tidegauge_probes.label_model.kinds import fit
from tidegauge_probes.label_model.model import LabelModel, LabelModelKind

__all__ = ["LabelModel", "LabelModelKind", "fit"]
