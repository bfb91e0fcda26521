import importlib
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from tests.snorkel_stub import Snorkel
from tests.snorkel_stub.torch_stand_in import torch_stand_in

SPAM = 1
ABSTAIN = -1


def test_labeling_functions_run_through_snorkels_own_applier(snorkel: Snorkel) -> None:
    @snorkel.labeling_function()
    def check_out(x: SimpleNamespace) -> int:
        return SPAM if "check out" in x.text else ABSTAIN

    records = [SimpleNamespace(text="check out my channel"), SimpleNamespace(text="nice song")]
    votes = snorkel.LFApplier([check_out]).apply(records, progress_bar=False)

    np.testing.assert_array_equal(votes, [[SPAM], [ABSTAIN]])
    np.testing.assert_array_equal(
        snorkel.LFAnalysis(votes, [check_out]).lf_coverages(), np.array([0.5])
    )


def test_preprocessors_slices_and_frames_work(snorkel: Snorkel) -> None:
    @snorkel.preprocessor(memoize=True)
    def lowered(x: pd.Series) -> pd.Series:
        x["lowered"] = x.text.lower()
        return x

    @snorkel.labeling_function(pre=[lowered])
    def subscribe(x: pd.Series) -> int:
        return SPAM if "subscribe" in x.lowered else ABSTAIN

    @snorkel.slicing_function()
    def short(x: pd.Series) -> bool:
        return len(x.text) < 10

    frame = pd.DataFrame({"text": ["SUBSCRIBE now please", "hello"]})
    votes = snorkel.PandasLFApplier([subscribe]).apply(frame, progress_bar=False)
    slices = snorkel.PandasSFApplier([short]).apply(frame, progress_bar=False)

    np.testing.assert_array_equal(votes, [[SPAM], [ABSTAIN]])
    np.testing.assert_array_equal(slices["short"], [0, 1])
    kept, _ = snorkel.filter_unlabeled_dataframe(frame, np.eye(2)[[1, 0]], votes)
    assert list(kept.text) == ["SUBSCRIBE now please"]


def test_user_code_may_import_snorkel_by_name(snorkel: Snorkel) -> None:
    names = {
        "snorkel.labeling": [
            "labeling_function",
            "LFApplier",
            "PandasLFApplier",
            "LFAnalysis",
            "filter_unlabeled_dataframe",
        ],
        "snorkel.labeling.model": ["MajorityLabelVoter"],
        "snorkel.preprocess": ["preprocessor"],
        "snorkel.slicing": ["slicing_function"],
    }
    for module, wanted in names.items():
        loaded = importlib.import_module(module)
        assert [name for name in wanted if not hasattr(loaded, name)] == []


def test_the_stand_in_is_gone_after_the_import(snorkel: Snorkel) -> None:
    torch = sys.modules.get("torch")
    assert torch is None or hasattr(torch, "__version__")


def test_the_stand_in_refuses_to_be_used() -> None:
    if importlib.util.find_spec("torch") is not None:
        pytest.skip("a real torch is installed, which the stand-in leaves alone")
    with torch_stand_in():
        torch = importlib.import_module("torch")
        assert torch.nn.Module is torch.nn.Module
        with pytest.raises(NotImplementedError, match="stand-in"):
            torch.Tensor([1.0])
