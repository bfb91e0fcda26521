"""What looks at a record: labeling functions, templates, votes, counts, baselines, drift.

Pure: nothing here knows a database or a network.
"""

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
