"""What ``nlp_labeling_function`` says where there is no spaCy; tests/parity has it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tidegauge_probes import ABSTAIN, ProbeError, nlp_labeling_function


def test_a_missing_spacy_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "spacy", None)
    with pytest.raises(ProbeError, match=r"pip install 'tidegauge-probes\[nlp\]'"):
        nlp_labeling_function()(lambda _: ABSTAIN)


def test_a_decorator_without_parentheses_is_refused() -> None:
    with pytest.raises(ProbeError, match=r"write @nlp_labeling_function\(\)"):
        nlp_labeling_function(lambda _: ABSTAIN)  # type: ignore[arg-type]


def test_nothing_imports_spacy_before_an_lf_needs_it() -> None:
    script = "import sys, tidegauge_probes; sys.exit('spacy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], check=False, timeout=60)
    assert done.returncode == 0
