"""The files that users read: the demo's YAML, the examples, and what their README says."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import yaml

import tidegauge_service.demo
from tests.demo.plain_lfs import ABSTAIN, PLAIN_LFS, votes
from tidegauge_probes import load, run
from tidegauge_service.config.sources import DemoSource, FileSource
from tidegauge_service.config.stream_file import load_stream
from tidegauge_service.demo.generator import Plan, batch

ROOT = Path(__file__).resolve().parents[2]
DEMO = Path(tidegauge_service.demo.__file__).parent
SPAM = ROOT / "examples" / "spam"
PYTHON_BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)


def readme_block(containing: str) -> str:
    blocks = PYTHON_BLOCK.findall((ROOT / "examples" / "README.md").read_text(encoding="utf-8"))
    (found,) = (block for block in blocks if containing in block)
    return str(found)


def test_the_templates_vote_as_plain_python_does() -> None:
    records = batch(7, 18_000, 6000, Plan())
    probes = load("probes.yaml", DEMO)
    assert probes.layout.classes == ("HAM", "SPAM")
    assert list(probes.layout.probes) == list(PLAIN_LFS)
    expected = [[votes(record).get(name, ABSTAIN) for name in PLAIN_LFS] for record in records]
    matrix = run(probes, records)
    assert matrix.faults == ()
    np.testing.assert_array_equal(matrix.outcomes, expected)


def test_every_demo_lf_is_described() -> None:
    document = yaml.safe_load((DEMO / "probes.yaml").read_text(encoding="utf-8"))
    assert all(probe["description"] for probe in document["probes"])


def test_the_demo_stream_is_valid_and_its_baseline_is_the_quiet_part() -> None:
    config = load_stream(DEMO / "stream.yaml")
    plan = Plan()
    assert isinstance(config.source, DemoSource)
    assert config.window == plan.window_ms
    assert config.baseline.from_ == plan.start_ms  # type: ignore[union-attr]
    end = plan.start_ms + plan.quiet_windows * plan.window_ms
    assert config.baseline.until == end  # type: ignore[union-attr]


def test_the_spam_example_runs_without_a_fault() -> None:
    config = load_stream(SPAM / "stream.yaml")
    assert isinstance(config.source, FileSource)
    lines = (SPAM / config.source.path).read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    assert len(records) == 200
    probes = load(config.probes, SPAM)
    matrix = run(probes, records)
    assert matrix.faults == ()
    assert (matrix.outcomes >= 0).any(axis=0).all(), "an LF that never votes shows nothing"
    assert matrix.segments[:, 0].tolist() == [record["channel"] == "mail" for record in records]


def test_the_example_lfs_vote_as_those_of_the_demo_where_they_share_a_name() -> None:
    records = batch(7, 0, 2000, Plan())
    ours, theirs = load("lfs:PROBES", SPAM), load("probes.yaml", DEMO)
    # One counts words without addresses, the other knows one phrase only.
    shared = sorted(
        {*ours.layout.probes} & {*theirs.layout.probes} - {"short_message", "claims_prize"}
    )
    assert len(shared) >= 7
    left, right = (
        run(probes, records).outcomes[:, [probes.layout.probes.index(name) for name in shared]]
        for probes in (ours, theirs)
    )
    np.testing.assert_array_equal(left, right)


def test_the_readme_makes_the_traffic_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "examples" / "spam").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    exec(readme_block("raw_at"), {})  # noqa: S102  (what the README tells people to run)
    made = (tmp_path / "examples" / "spam" / "traffic.jsonl").read_bytes()
    assert made == (SPAM / "traffic.jsonl").read_bytes()


def test_the_readme_counts_the_lfs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    exec(readme_block("load("), {})  # noqa: S102  (what the README tells people to run)
    printed = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert len(printed) == 13
    assert printed["mentions_vicodin"].split()[1] == "0.0%"
