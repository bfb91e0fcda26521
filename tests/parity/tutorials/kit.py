"""The names that LFs are written with: Snorkel's, or ours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tidegauge_probes
from tests.snorkel_stub import Snorkel


@dataclass(frozen=True)
class Kit:
    """Decorators and classes of one library."""

    labeling_function: Any
    LabelingFunction: Any
    slicing_function: Any
    SlicingFunction: Any
    preprocessor: Any
    Preprocessor: Any
    LambdaPreprocessor: Any


OURS = Kit(
    labeling_function=tidegauge_probes.labeling_function,
    LabelingFunction=tidegauge_probes.LabelingFunction,
    slicing_function=tidegauge_probes.slicing_function,
    SlicingFunction=tidegauge_probes.SlicingFunction,
    preprocessor=tidegauge_probes.preprocessor,
    Preprocessor=tidegauge_probes.Preprocessor,
    LambdaPreprocessor=tidegauge_probes.LambdaPreprocessor,
)


def snorkels(snorkel: Snorkel) -> Kit:
    """Return Snorkel's own names."""
    return Kit(
        labeling_function=snorkel.labeling_function,
        LabelingFunction=snorkel.LabelingFunction,
        slicing_function=snorkel.slicing_function,
        SlicingFunction=snorkel.SlicingFunction,
        preprocessor=snorkel.preprocessor,
        Preprocessor=snorkel.preprocess.Preprocessor,
        LambdaPreprocessor=snorkel.preprocess.LambdaPreprocessor,
    )
