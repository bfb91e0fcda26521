"""Modules of one name in two folders are two modules."""

from __future__ import annotations

import inspect
import itertools
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tidegauge_probes import engine, load
from tidegauge_probes.errors import ProbeError
from tidegauge_probes.labeling.probe_set import ProbeSet
from tidegauge_probes.lifting.lifted import Lifted
from tidegauge_probes.lifting.reader import readings

NUMBERS = itertools.count()

LFS = """\
from tidegauge_probes import labeling_function
{imports}

class Words:
    found = {word!r}

def shortened(text):
    return text[:9]

@labeling_function()
def mentions(x):
    return 1 if {word!r} in x.text else -1

@labeling_function()
def asks(x):
    return 1 if {read} in x.text else -1

LFS = [mentions, asks]
"""


@pytest.fixture(autouse=True)
def _paths(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("sys.path", [*sys.path])
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.fixture
def name() -> str:
    """Return a name that no other test imports."""
    return f"lfs{next(NUMBERS)}"


Two = Callable[..., tuple[Path, Path]]


@pytest.fixture
def two(tmp_path: Path) -> Two:
    """Write a file into two folders, ``{word}`` in it being pills in one and loans in the other."""

    def write(**files: str) -> tuple[Path, Path]:
        for folder, word in (("a", "pills"), ("b", "loans")):
            for name, text in files.items():
                path = tmp_path / folder / f"{name.replace('__', '/')}.py"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text.replace("{word}", word), encoding="utf-8")
        return tmp_path / "a", tmp_path / "b"

    return write


def lfs(imports: str = "", read: str = "Words.found") -> str:
    return LFS.replace("{imports}", imports).replace("{read}", read).replace("{word!r}", '"{word}"')


def votes(probe_set: ProbeSet) -> list[list[int]]:
    records = [{"text": "pills"}, {"text": "loans"}]
    found: list[list[int]] = engine.run(probe_set, records).outcomes.tolist()
    return found


OF_A, OF_B = [[1, 1], [-1, -1]], [[-1, -1], [1, 1]]


def test_each_folder_has_its_own(two: Two, name: str) -> None:
    a, b = two(**{name: lfs()})
    first, second = load(f"{name}:LFS", a), load(f"{name}:LFS", b)
    assert (votes(first), votes(second)) == (OF_A, OF_B)
    assert first.id != second.id
    again = load(f"{name}:LFS", a)
    assert again.probes[0].f is first.probes[0].f  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("imports", "read"),
    [
        ("import {helpers}", "{helpers}.WORD"),
        ("import {helpers} as h", "h.WORD"),
        ("from {helpers} import WORD", "WORD"),
        ("def word():\n    import {helpers}\n    return {helpers}.WORD", "word()"),
        ("def word():\n    from {helpers} import WORD\n    return WORD", "word()"),
    ],
)
def test_each_imports_what_is_beside_it(two: Two, name: str, imports: str, read: str) -> None:
    helpers = f"helpers_of_{name}"
    imports, read = imports.replace("{helpers}", helpers), read.replace("{helpers}", helpers)
    a, b = two(**{name: lfs(imports, read), helpers: 'WORD = "{word}"\n'})
    first, second = load(f"{name}:LFS", a), load(f"{name}:LFS", b)
    assert (votes(second), votes(first)) == (OF_B, OF_A)
    assert votes(load(f"{name}:LFS", b)) == OF_B


def test_packages_with_relative_and_absolute_imports(two: Two, name: str) -> None:
    imports = f"from . import words\nimport {name}.more.deep\nfrom {name}.more import deep as d"
    read = f"(words.WORD if {name}.more.deep.WORD == d.WORD == words.WORD else 'no')"
    a, b = two(
        **{
            f"{name}__lfs": lfs(imports, read),
            f"{name}__words": 'WORD = "{word}"\n',
            f"{name}__more__deep": f"from {name}.words import WORD\nfrom ..words import WORD as _",
        }
    )
    for folder in (a, b):
        (folder / name / "__init__.py").write_text("")
    first, second = load(f"{name}.lfs:LFS", a), load(f"{name}.lfs:LFS", b)
    assert (votes(first), votes(second)) == (OF_A, OF_B)


def test_a_folder_without_init_is_a_package_too(two: Two, name: str) -> None:
    files = {f"{name}__lfs": lfs(f"from {name}.words import WORD", "WORD")}
    a, b = two(**files, **{f"{name}__words": 'WORD = "{word}"\n'})
    assert votes(load(f"{name}.lfs:LFS", a)) == OF_A
    assert votes(load(f"{name}.lfs:LFS", b)) == OF_B


def test_source_lifting_and_pickling_are_those_of_each(two: Two, name: str) -> None:
    for folder, word in zip(two(**{name: lfs()}), ("pills", "loans"), strict=True):
        probe_set = load(f"{name}:LFS", folder)
        f = probe_set.probes[0].f  # type: ignore[attr-defined]
        assert f'"{word}" in x.text' in inspect.getsource(f)
        assert all(isinstance(found, Lifted) for found in [readings(probe_set)[0]])
        kind = f.__globals__["Words"]
        assert word in inspect.getsource(kind)
        assert pickle.loads(pickle.dumps(kind)) is kind  # noqa: S301  (our own)
        plain = f.__globals__["shortened"]
        assert pickle.loads(pickle.dumps(plain)) is plain  # noqa: S301


def test_equal_content_has_one_id_whichever_is_loaded_first(tmp_path: Path, name: str) -> None:
    text = lfs("class Kind:\n    pass\nKIND = Kind()", "(KIND and Words.found)")
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"{name}.py").write_text(text.replace("{word}", "w"))
    first, second = (load(f"{name}:LFS", tmp_path / folder) for folder in ("a", "b"))
    assert first.probes[0].f is not second.probes[0].f  # type: ignore[attr-defined]
    assert first.id == second.id
    script = f"from tidegauge_probes import load; print(load('{name}:LFS').id)"
    alone = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path / "b", capture_output=True, text=True,
        check=True, env={**os.environ},
    )  # fmt: skip
    assert alone.stdout.strip() == second.id


def test_a_file_beside_comes_before_what_is_installed(tmp_path: Path, name: str) -> None:
    """And what is installed stays what it was for everybody else."""
    (tmp_path / "statistics.py").write_text(lfs().replace("{word}", "pills"))
    (tmp_path / "yaml.py").write_text('WORD = "pills"\n')
    text = lfs("import yaml\nimport statistics", "(yaml.WORD if statistics.mean([1]) else '')")
    (tmp_path / f"{name}.py").write_text(text.replace("{word}", "pills"))
    import statistics

    import yaml

    assert votes(load("statistics:LFS", tmp_path)) == OF_A
    assert votes(load(f"{name}:LFS", tmp_path)) == OF_A
    assert sys.modules["yaml"] is yaml
    assert sys.modules["statistics"] is statistics
    assert yaml.safe_load("a: 1") == {"a": 1}


def test_a_folder_of_data_does_not_hide_a_package(tmp_path: Path, name: str) -> None:
    (tmp_path / "numpy").mkdir()
    (tmp_path / f"{name}.py").write_text(
        lfs("import numpy as np", "str(np.array(['pills'])[0])").replace("{word}", "pills")
    )
    assert votes(load(f"{name}:LFS", tmp_path)) == OF_A


def test_a_module_that_breaks_can_be_mended(two: Two, name: str) -> None:
    a, b = two(**{name: "1 / 0\n"})
    for folder in (a, b):
        with pytest.raises(ProbeError, match=f"cannot import '{name}': ZeroDivisionError"):
            load(f"{name}:LFS", folder)
    two(**{name: lfs()})
    for folder in (a, b):
        sys.path_importer_cache.pop(str(folder), None)
    assert (votes(load(f"{name}:LFS", b)), votes(load(f"{name}:LFS", a))) == (OF_B, OF_A)


def test_two_probe_files_compare_their_own_lfs(
    two: Two, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`probes diff a/probes.yaml b/probes.yaml` said `the same content`."""
    from typer.testing import CliRunner

    from tidegauge_service.cli.main import app

    for folder in two(**{name: lfs()}):
        text = f"classes: [HAM, SPAM]\nprobes:\n  - {{python: '{name}:LFS'}}\n"
        (folder / "probes.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    said = CliRunner().invoke(app, ["probes", "diff", "a/probes.yaml", "b/probes.yaml"])
    assert "no difference" not in said.stdout, said.output
    assert "mentions: different" in said.stdout
    same: Any = CliRunner().invoke(app, ["probes", "diff", "a/probes.yaml", "a/probes.yaml"])
    assert "no difference" in same.stdout
