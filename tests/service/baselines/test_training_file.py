from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tests.service.streams_for_tests import START, write_stream
from tidegauge_probes import load
from tidegauge_probes.drift.baseline import Baseline
from tidegauge_service.baselines import training
from tidegauge_service.baselines.doubts import doubts
from tidegauge_service.baselines.lookup import find_baseline
from tidegauge_service.cli.main import app
from tidegauge_service.config.sources import CsvDialect
from tidegauge_service.config.stream_file import load_stream
from tidegauge_service.errors import SourceError
from tidegauge_service.store.engine import Database

PROBES: dict[str, Any] = {
    "classes": ["HAM", "SPAM"],
    "probes": [
        {"name": "refund", "label": "SPAM", "keyword": {"any": ["rückerstattung"]}},
        {"name": "hello", "label": "HAM", "keyword": {"any": ["hallo"]}},
    ],
}

ROWS = ["id;timestamp;text", *(f"{i};{START};Rückerstattung für Müller" for i in range(5))]
ROWS += [f"{i};{START};hallo" for i in range(5, 10)]


def stream(folder: Path, **keys: Any) -> Path:
    """Return a stream whose own files are cp1252."""
    source = {"kind": "file", "path": "*.log", "format": "csv", "csv": {"encoding": "cp1252"}}
    return write_stream(folder, probes=PROBES, **{"source": source, **keys})


def train(folder: Path, encoding: str, rows: list[str] = ROWS) -> Path:
    path = folder / "train.csv"
    path.write_bytes("".join(f"{row}\n" for row in rows).encode(encoding))
    return path


def fit(folder: Path, path: Path, csv: CsvDialect | None = None, **keys: Any) -> Baseline:
    config = load_stream(stream(folder, **keys))
    probe_set = load(config.probes, folder)
    return training.fit_records(config, probe_set, path, lambda: START, csv=csv)


def votes(fitted: Baseline) -> list[int]:
    """Return how many records each LF voted on."""
    return [int(n) for n in fitted.total.all.outcomes[:, :2].sum(axis=1)]


def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *options: str) -> Result:
    monkeypatch.setenv("TIDEGAUGE_DATABASE", f"sqlite:///{tmp_path}/cli.db")
    arguments = ["baseline", "fit", str(stream(tmp_path)), "--name", "b", *options]
    return CliRunner().invoke(app, arguments)


def test_a_training_file_in_utf8_is_not_read_as_cp1252(tmp_path: Path) -> None:
    path = train(tmp_path, "utf-8")
    with pytest.raises(SourceError, match=r"train.csv looks like UTF-8.*cp1252.*--encoding"):
        fit(tmp_path, path)
    assert votes(fit(tmp_path, path, CsvDialect(encoding="utf-8"))) == [5, 5]


def test_a_character_that_is_cut_off_does_not_hide_utf8(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = train(tmp_path, "utf-8")
    first = path.read_bytes().index("ü".encode())
    cut = path.read_bytes().index("ü".encode(), first + 2) + 1
    monkeypatch.setattr("tidegauge_service.ingest.sources.files.content.CHUNK", cut)
    monkeypatch.setattr("tidegauge_service.baselines.training_file.LOOKED_AT", cut)
    with pytest.raises(SourceError, match="looks like UTF-8"):
        fit(tmp_path, path)


def test_the_encoding_of_the_stream_is_the_default(tmp_path: Path) -> None:
    assert votes(fit(tmp_path, train(tmp_path, "cp1252"))) == [5, 5]
    ascii_only = train(tmp_path, "ascii", [ROWS[0], *ROWS[6:]])
    assert votes(fit(tmp_path, ascii_only)) == [0, 5]


def test_a_stream_in_utf8_can_have_training_data_in_another_encoding(tmp_path: Path) -> None:
    path = train(tmp_path, "latin-1")
    source = {"kind": "file", "path": "*.csv"}
    dialect = CsvDialect(encoding="latin-1")
    assert votes(fit(tmp_path, path, dialect, source=source)) == [5, 5]


def test_the_format_is_that_of_the_training_file(tmp_path: Path) -> None:
    """`source.format` is for files whose name does not tell it."""
    path = tmp_path / "train.jsonl"
    record = {"id": "1", "timestamp": START, "text": "Rückerstattung, hallo"}
    path.write_text(json.dumps(record) + "\n")
    assert votes(fit(tmp_path, path)) == [1, 1]
    named_as_those_of_the_stream = train(tmp_path, "cp1252").rename(tmp_path / "train.log")
    assert votes(fit(tmp_path, named_as_those_of_the_stream)) == [5, 5]


def test_a_baseline_in_the_stream_file_has_a_dialect_of_its_own(
    tmp_path: Path, sqlite_database: Database
) -> None:
    train(tmp_path, "utf-8")
    baseline = {"path": "train.csv", "csv": {"encoding": "utf-8"}}
    config = load_stream(stream(tmp_path, baseline=baseline))
    found = find_baseline(config, load(config.probes, tmp_path), sqlite_database, lambda: START)
    assert found is not None
    assert votes(found) == [5, 5]


def test_options_of_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records = "--records", str(train(tmp_path, "utf-8"))
    said = command(tmp_path, monkeypatch, *records)
    assert "looks like UTF-8" in str(said.exception)
    wrong = command(tmp_path, monkeypatch, *records, "--encoding", "utf-99")
    assert "--encoding: 'utf-99' is not an encoding" in str(wrong.exception)
    done = command(tmp_path, monkeypatch, *records, "--encoding", "utf-8", "--delimiter", ";")
    assert done.exit_code == 0, done.output
    assert "warning" not in done.output


def test_a_name_can_be_taken_from_a_baseline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    utf8 = "--encoding", "utf-8", "--json"
    first = command(tmp_path, monkeypatch, "--records", str(train(tmp_path, "utf-8")), *utf8)
    other = str(train(tmp_path, "utf-8", ROWS[:8]))
    taken = command(tmp_path, monkeypatch, "--records", other, *utf8)
    assert "a different baseline named 'b' already exists" in str(taken.exception)
    assert "--replace" in str(taken.exception)
    done = command(tmp_path, monkeypatch, "--records", other, *utf8, "--replace")
    assert done.exit_code == 0, done.output
    by_name = CliRunner().invoke(app, ["baseline", "show", "b", "--json"])
    assert json.loads(by_name.stdout)["records"] == 7
    by_id = ["baseline", "show", json.loads(first.stdout)["id"], "--json"]
    assert json.loads(CliRunner().invoke(app, by_id).stdout)["records"] == 10, "it is kept"


def test_what_is_doubtful_in_a_baseline(tmp_path: Path) -> None:
    rows = [*ROWS[:1], *ROWS[6:], "broken"]
    assert doubts(fit(tmp_path, train(tmp_path, "utf-8", rows))) == [
        "1 of 6 inputs cannot be read as records",
        "LF refund never votes on these records",
    ]
    assert doubts(fit(tmp_path, train(tmp_path, "cp1252"))) == []
    without = train(tmp_path, "cp1252", ["id;timestamp;other", f"1;{START};x"])
    record = {"id": "id", "timestamp": "timestamp"}
    assert doubts(fit(tmp_path, without, record=record)) == [
        "LF refund fails on 100.0% of the records",
        "LF hello fails on 100.0% of the records",
    ]


def test_the_command_warns_of_classes_without_gold_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classes = [*PROBES["classes"], "OTHER"]
    named = [f"{row};{('HAM', 'SPAM')[n % 2] if n else 'truth'}" for n, row in enumerate(ROWS)]
    path = train(tmp_path, "cp1252", named)
    monkeypatch.setitem(PROBES, "classes", classes)
    done = command(tmp_path, monkeypatch, "--records", str(path), "--gold", "truth")
    assert done.exit_code == 0, done.output
    assert "warning: no gold label of class OTHER:" in done.output
    monkeypatch.setitem(PROBES, "classes", classes[:2])
    done = command(tmp_path, monkeypatch, "--records", str(path), "--gold", "truth", "--replace")
    assert "no gold label of class" not in done.output
