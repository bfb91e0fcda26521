"""Imports the parts of Snorkel that tests compare tidegauge with."""

import importlib
import importlib.util
import warnings
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from tests.servers.required import absent
from tests.snorkel_stub.torch_stand_in import torch_stand_in

INSTALL = "pip install --no-deps -r requirements/snorkel.txt"


@dataclass(frozen=True)
class Snorkel:
    """Snorkel's modules, and the names that drop-in tests use most.

    After loading, `from snorkel.labeling import labeling_function` and the like work anywhere in
    the process, user code under test included.
    """

    analysis: ModuleType
    labeling: ModuleType
    map: ModuleType
    preprocess: ModuleType
    slicing: ModuleType
    labeling_function: Any
    LabelingFunction: Any
    LFApplier: Any
    PandasLFApplier: Any
    LFAnalysis: Any
    filter_unlabeled_dataframe: Any
    preprocessor: Any
    slicing_function: Any
    SlicingFunction: Any
    PandasSFApplier: Any


def load_snorkel() -> Snorkel:
    """Import Snorkel with an empty torch; skip the test when Snorkel is absent (on CI: fail)."""
    if importlib.util.find_spec("snorkel") is None:
        absent(f"snorkel is not installed; to run this test: {INSTALL}")
    with torch_stand_in(), warnings.catch_warnings():
        # Import-time warnings about newer numpy and pandas are Snorkel's, and `-W error` is ours.
        warnings.simplefilter("ignore")
        labeling = importlib.import_module("snorkel.labeling")
        importlib.import_module("snorkel.labeling.model")
        slicing = importlib.import_module("snorkel.slicing")
        preprocess = importlib.import_module("snorkel.preprocess")
        mapping = importlib.import_module("snorkel.map")
        analysis = importlib.import_module("snorkel.analysis")
    return Snorkel(
        analysis=analysis,
        labeling=labeling,
        map=mapping,
        preprocess=preprocess,
        slicing=slicing,
        labeling_function=labeling.labeling_function,
        LabelingFunction=labeling.LabelingFunction,
        LFApplier=labeling.LFApplier,
        PandasLFApplier=labeling.PandasLFApplier,
        LFAnalysis=labeling.LFAnalysis,
        filter_unlabeled_dataframe=labeling.filter_unlabeled_dataframe,
        preprocessor=preprocess.preprocessor,
        slicing_function=slicing.slicing_function,
        SlicingFunction=slicing.SlicingFunction,
        PandasSFApplier=slicing.PandasSFApplier,
    )
