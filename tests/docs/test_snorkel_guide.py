"""What "From Snorkel in five minutes" tells to do is done here, to the letter."""

from __future__ import annotations

import inspect
import json
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import tidegauge_probes
from tests.parity.conftest import RECORDS, TUTORIALS
from tests.parity.tutorials.kit import OURS
from tests.snorkel_stub import Snorkel
from tidegauge_probes import load
from tidegauge_service.cli.main import app

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "probes.md").read_text(encoding="utf-8")
GUIDE = PAGE.partition("## From Snorkel in five minutes")[2].partition("\n## ")[0]
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", GUIDE, flags=re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder with the files that the guide writes, as the working directory."""
    for _, text in BLOCKS:
        named = re.match(r"# (\S+\.(?:py|yaml))\n", text)
        if named:
            (tmp_path / named[1]).write_text(text, encoding="utf-8")
    monkeypatch.delitem(sys.modules, "my_lfs", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_the_steps(snorkel: Snorkel, folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == ["my_lfs.py", "probes.yaml"]
    steps = [text for kind, text in BLOCKS if kind == "python" and not text.startswith("# ")]
    names: dict[str, Any] = {}
    for step in steps:
        exec(step, names)  # noqa: S102  (the page's own words)
    assert len(steps) == 2
    assert len(names["records"]) == len(names["L"])

    (command,) = re.findall(r"^    (tidegauge probes check .*)$", GUIDE, flags=re.MULTILINE)
    lines = [json.dumps(record) for record in names["records"]]
    (folder / "traffic.jsonl").write_text("\n".join(lines))
    done = CliRunner().invoke(app, [*shlex.split(command)[1:], "--json"])
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)["lfs"]
    summary = names["summary"]
    assert [row["name"] for row in rows] == list(summary.index)
    assert [row["sample"]["coverage"] for row in rows] == summary["Coverage"].tolist()

    short = load("my_lfs:LFS", base=folder)
    long = load("probes.yaml", base=folder)
    assert [p.name for p in short.probes] == [p.name for p in long.probes]
    assert [p.name for p in short.slices] == [p.name for p in long.slices] == ["from_web"]


def test_the_imports_of_step_six(snorkel: Snorkel, folder: Path) -> None:
    rows = re.findall(r"^\| `(snorkel[\w.]+)` \| (.*) \|$", GUIDE, flags=re.MULTILINE)
    assert len(rows) == 6
    for _, names in rows:
        for name in re.findall(r"`(\w+)`", names):
            assert name in tidegauge_probes.__all__
    source = (folder / "my_lfs.py").read_text(encoding="utf-8")
    for module, _ in rows:
        source = source.replace(f"from {module} import", "from tidegauge_probes import")
    assert "snorkel" not in source
    (folder / "my_own_lfs.py").write_text(source, encoding="utf-8")
    theirs, ours = load("my_lfs:LFS", base=folder), load("my_own_lfs:LFS", base=folder)
    records = [{"text": "a winner", "channel": "web"}, {"text": "check it out", "channel": "x"}]
    found = [tidegauge_probes.run(each, records) for each in (theirs, ours)]
    assert (found[0].outcomes == found[1].outcomes).all()
    assert (found[0].segments == found[1].segments).all()
    assert not found[1].faults


def test_the_figures() -> None:
    lfs = sum(len(module.lfs(OURS)) for module in TUTORIALS.values())
    assert f"with {lfs} LFs in the styles of its tutorials" in GUIDE
    assert f"on {RECORDS:,} records each" in GUIDE.replace("\n", " ")


def test_the_arguments_of_the_spacy_decorator_are_told() -> None:
    section = PAGE.partition("## LFs on spaCy docs")[2].partition("\n## ")[0]
    arguments = inspect.signature(tidegauge_probes.nlp_labeling_function).parameters
    assert len(arguments) > 8
    for name in arguments.keys() - {"name", "resources"}:  # those of every decorator
        assert f"`{name}`" in section
