"""`import tidegauge_probes` is quick: what is heavy, or an extra, is imported when it is used."""

from __future__ import annotations

import ast
import copy
import inspect
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import tidegauge_probes
from tidegauge_probes import ProbeError
from tidegauge_probes.counts import analysis, panes
from tidegauge_probes.errors import MissingExtraError
from tidegauge_probes.lazy import LazyModule
from tidegauge_probes.model import VoteMatrix

PACKAGE = Path(tidegauge_probes.__file__).parent
HEAVY = {"numpy", "pandas", "pyarrow", "pydantic", "scipy", "spacy", "yaml"}
SERVICE = {"fastapi", "kafka", "sqlalchemy", "altair", "tidegauge_service", "tidegauge_alerts"}

SET = "from tidegauge_probes import LabelingFunction, ProbeSet, run\n"
TEMPLATES = """
from tidegauge_probes.labeling.templates import TemplateSpec
spec = TemplateSpec.model_validate({"name": "lf", "label": 1, "%s": %s})
assert run(ProbeSet.of([spec]), [{"text": "free money"}] * 50).votes.sum() == 50
"""
WORDS = TEMPLATES % ("keyword", '{"any": ["free"]}')
REGEX = TEMPLATES % ("regex", '{"pattern": "f.ee"}')


def loaded(script: str) -> set[str]:
    """Return which packages are loaded after *script* in a new process."""
    names = "print(*{name.partition('.')[0] for name in sys.modules})"
    command = [sys.executable, "-c", f"import sys\n{script}\n{names}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("script", "needed"),
    [
        ("import tidegauge_probes", set()),
        ("from tidegauge_probes import labeling_function, preprocessor", set()),
        ("from tidegauge_probes import ProbeError, nlp_labeling_function", set()),
        (SET, {"numpy", "pydantic"}),
        (SET + WORDS, {"numpy", "pydantic"}),
        ("from tidegauge_probes import load", {"numpy", "pydantic", "yaml"}),
        ("import tidegauge_probes.drift.baseline", {"numpy"}),
        ("import tidegauge_probes.counts.analysis", {"numpy"}),
    ],
)
def test_an_import_loads_what_it_needs_and_no_more(script: str, needed: set[str]) -> None:
    found = loaded(script)
    assert found & HEAVY == needed
    assert found & SERVICE == set()


def test_a_pattern_over_many_texts_loads_pyarrow() -> None:
    """And pyarrow looks for pandas by itself."""
    assert "pyarrow" in loaded(SET + REGEX)


# -- Extras ---------------------------------------------------------------------------------------


def summary() -> object:
    outcomes = np.array([[1, -1], [0, 1]], dtype=np.int8)
    matrix = VoteMatrix(outcomes, np.empty((2, 0), np.bool_), np.zeros(2))
    return analysis.lf_summary(panes.fold(matrix, 2, {}), ("a", "b"))


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert summary() is not None
    monkeypatch.setattr(analysis, "pd", LazyModule("pandas", extra="analysis"))
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ProbeError, match=r"pip install 'tidegauge-probes\[analysis\]'") as caught:
        summary()
    assert isinstance(caught.value, ImportError)
    assert caught.value.name == "pandas"
    assert str(copy.copy(caught.value)) == str(caught.value)  # as pickled between processes


@pytest.mark.parametrize("name", ["scipy.special", "scipy.optimize", "scipy.sparse"])
def test_the_statistics_name_theirs(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy", None)
    monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(MissingExtraError, match=r"tidegauge-probes\[statistics\]"):
        _ = LazyModule(name, extra="statistics").anything


@pytest.mark.parametrize("name", ["broken", "broken.inner"])
def test_a_package_that_is_there_but_broken_speaks_for_itself(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "__init__.py").write_text("import what_it_needs", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="what_it_needs") as caught:
        _ = LazyModule(name, extra="analysis").anything
    assert not isinstance(caught.value, MissingExtraError)


def test_what_is_always_installed_names_no_extra() -> None:
    with pytest.raises(ModuleNotFoundError, match="nowhere") as caught:
        _ = LazyModule("nowhere").anything
    assert not isinstance(caught.value, MissingExtraError)


def test_looking_at_a_late_module_imports_nothing() -> None:
    late = LazyModule("nowhere", extra="analysis")
    assert isinstance(late, ModuleType)
    assert inspect.unwrap(late) is late  # type: ignore[arg-type]
    assert not hasattr(late, "__path__")
    assert repr(late) == "<module 'nowhere'>"
    with pytest.raises(TypeError):  # as of any module
        copy.deepcopy(late)


def test_an_attribute_is_looked_up_once() -> None:
    late = LazyModule("math")
    assert "pi" not in vars(late)
    assert late.pi == vars(late)["pi"]
    with pytest.raises(AttributeError, match="no attribute 'tau_is_three'"):
        _ = late.tau_is_three


# -- Python 3.10 ----------------------------------------------------------------------------------

SOURCES = sorted(PACKAGE.rglob("*.py"))

LATER = {
    "asyncio": {"Runner", "TaskGroup", "timeout"},
    "contextlib": {"chdir"},
    "datetime": {"UTC"},
    "enum": {"EnumType", "ReprEnum", "StrEnum", "member", "nonmember", "verify"},
    "hashlib": {"file_digest"},
    "itertools": {"batched"},
    "math": {"cbrt", "exp2", "sumprod"},
    "operator": {"call"},
    "re": {"NOFLAG", "_compiler", "_constants", "_parser"},
    "typing": {
        "LiteralString", "Never", "NotRequired", "Required", "Self", "TypeVarTuple", "Unpack",
        "assert_never", "assert_type", "override", "reveal_type",
    },
}  # fmt: skip
"""What the standard library has had since Python 3.11 or later. `make lint` knows all of it: it
checks the package against the library of 3.10; this list says the most likely in every test run."""


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_every_module_is_python_3_10(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 10))
    if path.name == "compat.py":  # it asks which Python it is
        return
    assert newer(tree) == set()


def newer(tree: ast.AST) -> set[str]:
    """Return what a module takes of the standard library that Python 3.10 has not."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            taken = {alias.name for alias in node.names}
            found |= {
                f"{node.module}.{name}" for name in taken & LATER.get(node.module or "", set())
            }
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.attr in LATER.get(node.value.id, set()):
                found.add(f"{node.value.id}.{node.attr}")
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names} & {"tomllib", "wsgiref.types"}
    return found


def test_what_is_newer_would_be_found() -> None:
    lines = ["from enum import Enum, StrEnum", "datetime.UTC", "import tomllib"]
    assert newer(ast.parse("\n".join(lines))) == {"enum.StrEnum", "datetime.UTC", "tomllib"}
    with pytest.raises(SyntaxError):
        ast.parse("try: pass\nexcept* ValueError: pass", feature_version=(3, 10))


def test_there_are_modules_to_look_at() -> None:
    assert len(SOURCES) > 40
