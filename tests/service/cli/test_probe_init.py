"""``tidegauge probes init`` on a module as people have them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tidegauge_probes import load
from tidegauge_service.cli.main import app
from tidegauge_service.errors import SettingsError

MODULES = count()

LFS = """\
from tidegauge_probes import ProbeSet, labeling_function, slicing_function

@labeling_function()
def pills(x):
    \"\"\"Offers pills.\"\"\"
    return 1 if "pills" in x.text else -1

@labeling_function()
def tries(x):
    try:
        return 1 if "k" in x.text else -1
    except TypeError:
        return -1

@slicing_function()
def asks(x):
    return "?" in x.text

def unnamed():
    @labeling_function()
    def inner(x):
        return sorted(x.text)
    return inner

@labeling_function()
def topic(x):
    return 3 if "bill" in x.text else -1

LFS = [pills, tries, asks, unnamed()]
FOUR = [pills, topic]
SET = ProbeSet.of([pills], classes=["HAM", "SPAM"])
PYTHON = [unnamed()]
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*sys.path])
    name = f"lfs_to_init_{next(MODULES)}"
    (tmp_path / f"{name}.py").write_text(LFS, encoding="utf-8")
    yield name
    sys.modules.pop(name, None)


def init(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["probes", "init", *arguments])


def test_a_file_is_written_and_the_rest_is_told(module: str, tmp_path: Path) -> None:
    result = init("--from", f"{module}:LFS", "--classes", "HAM, SPAM", "--out", "probes.yaml")
    assert result.exit_code == 0, result.output
    made = load("probes.yaml", tmp_path)
    assert [probe.name for probe in made.probes] == ["pills", "tries"]
    assert made.classes == ("HAM", "SPAM")
    assert [piece.name for piece in made.slices] == ["asks"]
    told = " ".join(result.stderr.split())
    assert "wrote probes.yaml: 2 of 4 converted to templates" in told
    assert "stays Python: tries: `try: …` in line 10 (try) is not supported" in told
    assert (
        "inner: `sorted(x.text)` in line 22 is not supported (left out: it has no import path)"
        in told
    )


def test_without_a_target_the_file_alone_is_on_standard_output(module: str, tmp_path: Path) -> None:
    result = init("--from", f"{module}:LFS")
    (tmp_path / "piped.yaml").write_text(result.stdout, encoding="utf-8")
    assert load("piped.yaml", tmp_path).classes == ("0", "1")


def test_an_lf_that_differs_on_the_sample_stays_python(module: str, tmp_path: Path) -> None:
    """A list where a text is expected: Python finds the word in it, a template fails."""
    (tmp_path / "lists.jsonl").write_text('{"text": ["pills"]}\n{"text": "a"}\n', encoding="utf-8")
    result = init("--from", f"{module}:LFS", "--out", "p.yaml", "--sample", "lists.jsonl")
    assert result.exit_code == 0, result.output
    told = " ".join(result.stderr.split())
    assert "pills: its template votes differently on 1 record of the sample" in told
    assert f"python: '{module}:pills'" in (tmp_path / "p.yaml").read_text(encoding="utf-8")


def refused(*arguments: str) -> str:
    result = init(*arguments)
    assert isinstance(result.exception, SettingsError)
    return str(result.exception)


def test_what_cannot_be_done_says_what_to_do(module: str, tmp_path: Path) -> None:
    (tmp_path / "there.yaml").write_text("mine", encoding="utf-8")
    said = refused("--from", f"{module}:LFS", "--out", "there.yaml")
    assert said == "there.yaml already exists: give --out another name, or remove it"
    assert (tmp_path / "there.yaml").read_text(encoding="utf-8") == "mine"
    said = refused("--from", f"{module}:SET", "--classes", "A,B,C")
    assert said == "--classes names 3 classes; the ProbeSet has 2: HAM, SPAM"
    said = refused("--from", f"{module}:PYTHON", "--out", "none.yaml")
    assert "can be written to a file" in said
    assert "inner: `sorted(x.text)` in line 22 is not supported" in said
    assert not (tmp_path / "none.yaml").exists()


def test_a_list_of_lfs_can_have_more_than_two_classes(module: str, tmp_path: Path) -> None:
    """A list names no classes; `--classes` does."""
    result = init("--from", f"{module}:FOUR", "--classes", "A,B,C,D", "--out", "four.yaml")
    assert result.exit_code == 0, result.output
    made = load("four.yaml", tmp_path)
    assert made.classes == ("A", "B", "C", "D")
    assert [probe.labels for probe in made.probes] == [(1,), (3,)]


@pytest.mark.parametrize("classes", [(), ("--classes", "A,B,C")])
def test_classes_that_lfs_vote_for_must_have_names(module: str, classes: tuple[str, ...]) -> None:
    """Without a name, the file would say that the vote is not valid."""
    said = refused("--from", f"{module}:FOUR", *classes)
    assert "LF 'topic' votes for class 3, but only" in said
    assert "give --classes 4 names in index order" in said
