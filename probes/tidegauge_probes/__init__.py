"""What looks at a record: labeling functions, templates, votes, counts, baselines, drift.

Pure: nothing here knows a database or a network. Names are imported when they are first used
(PEP 562), so that a notebook that decorates a function does not wait for the batch engine.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tidegauge_probes.engine import run
    from tidegauge_probes.errors import BaselineError, CountsError, ProbeError, TidegaugeError
    from tidegauge_probes.labeling.decorators import (
        LabelingFunction,
        LambdaPreprocessor,
        Preprocessor,
        SlicingFunction,
        labeling_function,
        preprocessor,
        slicing_function,
    )
    from tidegauge_probes.labeling.loading import load
    from tidegauge_probes.labeling.nlp import (
        NLPLabelingFunction,
        NLPSlicingFunction,
        SpacyPreprocessor,
        nlp_labeling_function,
        nlp_slicing_function,
    )
    from tidegauge_probes.labeling.probe_set import ProbeSet
    from tidegauge_probes.model import ABSTAIN, ERROR, Record, VoteMatrix

_NAMES = {
    "engine": ("run",),
    "errors": ("BaselineError", "CountsError", "ProbeError", "TidegaugeError"),
    "labeling.decorators": (
        "LabelingFunction",
        "LambdaPreprocessor",
        "Preprocessor",
        "SlicingFunction",
        "labeling_function",
        "preprocessor",
        "slicing_function",
    ),
    "labeling.loading": ("load",),
    "labeling.nlp": (
        "NLPLabelingFunction",
        "NLPSlicingFunction",
        "SpacyPreprocessor",
        "nlp_labeling_function",
        "nlp_slicing_function",
    ),
    "labeling.probe_set": ("ProbeSet",),
    "model": ("ABSTAIN", "ERROR", "Record", "VoteMatrix"),
}
_HOMES = {name: f"{__name__}.{module}" for module, names in _NAMES.items() for name in names}

__all__ = [
    "ABSTAIN",
    "ERROR",
    "BaselineError",
    "CountsError",
    "LabelingFunction",
    "LambdaPreprocessor",
    "NLPLabelingFunction",
    "NLPSlicingFunction",
    "Preprocessor",
    "ProbeError",
    "ProbeSet",
    "Record",
    "SlicingFunction",
    "SpacyPreprocessor",
    "TidegaugeError",
    "VoteMatrix",
    "labeling_function",
    "load",
    "nlp_labeling_function",
    "nlp_slicing_function",
    "preprocessor",
    "run",
    "slicing_function",
]


def __getattr__(name: str) -> Any:
    """Import a public name from its home."""
    if name not in _HOMES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    found = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
