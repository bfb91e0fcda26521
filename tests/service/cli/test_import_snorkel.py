"""``tidegauge baseline import-snorkel``: a baseline with the label model of a saved one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner, Result

from tests.probes.snorkel_model.make import votes
from tidegauge_probes.errors import BaselineError
from tidegauge_service.cli.main import app
from tidegauge_service.store import baselines
from tidegauge_service.store.engine import Database

SAVED = Path(__file__).parents[2] / "probes" / "snorkel_model" / "label_model.pkl"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["baseline", *arguments])


def fit(folder: Path, name: str, matrix: Any, classes: int = 3) -> None:
    probes = [
        {"name": f"lf{n}", "label": n % classes, "missing": {"field": f"f{n}"}}
        for n in range(matrix.shape[1])
    ]
    probe_set = {"classes": ["A", "B", "C"][:classes], "probes": probes}
    (folder / "probes.yaml").write_text(yaml.safe_dump(probe_set), encoding="utf-8")
    stream = {
        "name": name,
        "probes": "probes.yaml",
        "source": {"kind": "demo"},
        "window": "1h",
        "baseline": {"name": name},
    }
    (folder / "stream.yaml").write_text(yaml.safe_dump(stream), encoding="utf-8")
    np.save(folder / "L.npy", matrix.astype(np.int8))
    paths = [str(folder / "stream.yaml"), "--votes", str(folder / "L.npy")]
    fitted = run("fit", *paths, "--name", name)
    assert fitted.exit_code == 0, fitted.output


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TIDEGAUGE_DATABASE", f"sqlite:///{tmp_path}/import.db")
    fit(tmp_path, "fitted", votes(np.random.default_rng(0)))
    return tmp_path


def test_the_new_baseline_has_the_label_model_and_else_what_the_old_one_had(folder: Path) -> None:
    done = run("import-snorkel", str(SAVED), "--baseline", "fitted", "--name", "new", "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["class_shares"] == pytest.approx({"A": 0.5, "B": 0.3, "C": 0.2})
    assert told["warnings"] == []
    old, new = (json.loads(run("show", name, "--json").stdout) for name in ("fitted", "new"))
    assert new["id"] == told["id"] != old["id"]
    assert new["label_model"]["records"] == 4_000
    # There are no votes to check it by: levels are withheld, and what it holds is still Snorkel's.
    assert new["label_model"]["kind"] == "votes"
    assert new["label_model"]["class_shares"] is None
    assert new["label_model"]["precision"] == {f"lf{n}": {} for n in range(6)}
    assert new["label_model"]["withheld"].startswith("Not identified")
    with Database(f"sqlite:///{folder}/import.db").read() as connection:
        model = baselines.find(connection, "new").model
    assert model is not None
    assert model.prior.tolist() == pytest.approx(list(told["class_shares"].values()))
    assert model.precision()[0, 0] == pytest.approx(0.930, abs=0.001)
    assert new["source"].pop("label_model") == "snorkel: label_model.pkl"
    kept = ("probe_set", "records", "windows", "source")
    assert [new[key] for key in kept] == [old[key] for key in kept]


def test_lfs_in_another_order_are_warned_of(folder: Path) -> None:
    fit(folder, "turned", votes(np.random.default_rng(0))[:, [1, 0, 2, 3, 4, 5]])
    done = run("import-snorkel", str(SAVED), "--baseline", "turned", "--name", "new")
    assert done.exit_code == 0, done.output
    said = " ".join(done.stdout.split())
    assert "warning: lf0 votes" in said
    assert "warning: lf1 votes" in said
    assert "lf2 votes" not in said
    assert "are the LFs in the same order?" in said


def refused(*arguments: str) -> str:
    result = run("import-snorkel", *arguments, "--name", "new")
    assert isinstance(result.exception, BaselineError)
    return str(result.exception)


def test_what_does_not_fit_is_refused(folder: Path) -> None:
    fit(folder, "fewer", votes(np.random.default_rng(0))[:, :5])
    said = refused(str(SAVED), "--baseline", "fewer")
    assert (
        "has 6 LFs and 3 classes, but the baseline has 5 and 3: fit a baseline with the same LFs"
        in said
    )
    gone = folder / "gone.pkl"
    assert refused(str(gone), "--baseline", "fitted").endswith("; check the path")
    broken = folder / "broken.pkl"
    broken.write_bytes(b"no pickle")
    said = refused(str(broken), "--baseline", "fitted")
    assert said.startswith(f"{broken} cannot be imported: it is not a pickle of a LabelModel")
    assert "there is no baseline 'nome'" in refused(str(SAVED), "--baseline", "nome")
    said = refused(str(SAVED), "--baseline", "fitted", "--records", "137")
    assert "was not fitted on 137 records" in said


def test_the_service_reads_no_pickle() -> None:
    """Only the command may read one: nothing that runs by itself imports what does."""
    service = Path(__file__).parents[3] / "service" / "tidegauge_service"
    readers = [
        path.relative_to(service).as_posix() for path in service.rglob("*.py")
        if "snorkel_pickle" in path.read_text(encoding="utf-8")
    ]  # fmt: skip
    assert readers == ["cli/baseline/snorkel.py"]
