from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from tests.service import oracle
from tests.service.streams_for_tests import HOUR, START, write_stream
from tidegauge_probes import engine, load
from tidegauge_probes.drift import baseline as baselines
from tidegauge_probes.drift.baseline import Baseline
from tidegauge_probes.errors import BaselineError
from tidegauge_probes.findings import OTHER
from tidegauge_probes.labeling.probe_set import ProbeSet
from tidegauge_service.baselines import training
from tidegauge_service.baselines.lookup import find_baseline
from tidegauge_service.cli.main import app
from tidegauge_service.clock import to_iso
from tidegauge_service.config.stream_file import StreamConfig, load_stream
from tidegauge_service.errors import SourceError
from tidegauge_service.store.engine import Database

NOW = START + 1_000 * HOUR


def rows(n: int) -> list[dict[str, Any]]:
    return [json.loads(oracle.message(i, i, country="DE" if i % 3 else "FR")) for i in range(n)]


@pytest.fixture
def config(tmp_path: Path) -> StreamConfig:
    return load_stream(write_stream(tmp_path, segment_by=["country"]))


@pytest.fixture
def probe_set(tmp_path: Path, config: StreamConfig) -> ProbeSet:
    return load(config.probes, tmp_path)


def fit(config: StreamConfig, probe_set: ProbeSet, path: Path) -> Baseline:
    heard = list[int]()
    fitted = training.fit_records(config, probe_set, path, lambda: NOW, heard.append)
    assert sum(heard) == fitted.total.records + fitted.source["rejected"]
    return fitted


def write(path: Path, records: list[dict[str, Any]]) -> Path:
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
    elif path.suffix == ".csv":
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(records[0]))
            writer.writeheader()
            writer.writerows(records)
    else:
        pq.write_table(pa.Table.from_pylist(records), path)
    return path


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_training_records_are_counted_as_a_loop_counts(
    config: StreamConfig, probe_set: ProbeSet, tmp_path: Path, suffix: str
) -> None:
    records = rows(60)
    fitted = fit(config, probe_set, write(tmp_path / f"train.{suffix}", records))
    assert oracle.tally_pane(fitted.total) == oracle.tally_records(records)
    assert fitted.starts.tolist() == [START + h * HOUR for h in range(10)]
    assert fitted.probe_set == probe_set.id
    assert fitted.window_ms == HOUR
    assert fitted.source == {"path": f"train.{suffix}", "rejected": 0, "window_ms": HOUR}


def test_batches_do_not_show(
    config: StreamConfig, probe_set: ProbeSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "train.jsonl", rows(60))
    whole = fit(config, probe_set, path)
    monkeypatch.setattr(training, "BATCH", 7)
    assert fit(config, probe_set, path).encode() == whole.encode()


def test_segments_stay_below_the_cap_however_many_batches_there_are(
    probe_set: ProbeSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_stream(tmp_path, segment_by=["id"], limits={"max_segments": 3})
    config = load_stream(path)
    monkeypatch.setattr(training, "BATCH", 2)
    path = write(tmp_path / "train.jsonl", rows(6))  # one window
    fitted = fit(config, probe_set, path)
    assert set(fitted.total.segments) == {"_all", "id=r0", "id=r1", "id=r2", f"id={OTHER}"}


def test_what_is_no_record_is_counted_in_the_source(
    config: StreamConfig, probe_set: ProbeSet, tmp_path: Path
) -> None:
    path = write(tmp_path / "train.jsonl", rows(10))
    path.write_text(path.read_text() + "broken\n[]\n")
    fitted = fit(config, probe_set, path)
    assert (fitted.total.records, fitted.source["rejected"]) == (10, 2)


@pytest.mark.parametrize("content", ["", "broken\n"])
def test_no_records_are_no_baseline(
    config: StreamConfig, probe_set: ProbeSet, tmp_path: Path, content: str
) -> None:
    (tmp_path / "train.jsonl").write_text(content)
    with pytest.raises(BaselineError):
        fit(config, probe_set, tmp_path / "train.jsonl")


def test_a_missing_file_is_a_source_error(
    config: StreamConfig, probe_set: ProbeSet, tmp_path: Path
) -> None:
    with pytest.raises(SourceError, match=r"no file matches '.+' in /.+: check the path"):
        fit(config, probe_set, tmp_path / "train.jsonl")


def votes_of(probe_set: ProbeSet, records: list[dict[str, Any]]) -> np.ndarray[Any, Any]:
    return np.asarray(engine.run(probe_set, records).votes)


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.int64])
@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_records_and_their_vote_matrix_count_alike(
    probe_set: ProbeSet, tmp_path: Path, suffix: str, dtype: type[np.signedinteger[Any]]
) -> None:
    config = load_stream(write_stream(tmp_path))  # a vote matrix knows no segments
    records = rows(60)
    from_records = fit(config, probe_set, write(tmp_path / "train.jsonl", records))
    votes, path = votes_of(probe_set, records).astype(dtype), tmp_path / f"L_train.{suffix}"
    if suffix == "npy":
        np.save(path, votes)
    else:
        np.savez(path, L_train=votes)
    from_votes = training.fit_votes(config, probe_set, path)
    assert from_votes.total == from_records.total
    assert from_votes.starts.tolist() == []
    assert from_votes.source == {"votes": path.name}


def votes_for(n: int) -> np.ndarray[Any, Any]:
    """Return votes of three LFs: the class, right in 9 of 10, abstaining on a third."""
    rng = np.random.default_rng(1)
    y = rng.random((n, 1)) < 0.4
    votes = np.where(rng.random((n, 3)) < 0.9, y, ~y).astype(np.int8)
    votes[rng.random((n, 3)) < 1 / 3] = -1
    return votes


def test_a_vote_matrix_gives_a_label_model(
    config: StreamConfig, probe_set: ProbeSet, tmp_path: Path
) -> None:
    np.save(tmp_path / "L.npy", votes_for(20_000))
    model = training.fit_votes(config, probe_set, tmp_path / "L.npy").model
    assert model is not None
    assert model.records == 20_000
    assert model.prior[1] == pytest.approx(0.4, abs=0.02)
    assert np.abs(model.precision()[:, 0] - 0.54 / (0.54 + 0.04)).max() < 0.03


def test_of_many_votes_a_uniform_sample_is_used(
    config: StreamConfig, probe_set: ProbeSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.save(tmp_path / "L.npy", votes_for(20_000))
    whole = training.fit_votes(config, probe_set, tmp_path / "L.npy")
    monkeypatch.setattr(training, "MOST_VOTES", 5_000)
    sampled = training.fit_votes(config, probe_set, tmp_path / "L.npy")
    assert whole.model is not None
    assert sampled.model is not None
    assert sampled.model.records == 5_000
    assert np.abs(sampled.model.votes * 4 / whole.model.votes - 1).max() < 0.1
    assert sampled.total == whole.total


def test_the_sample_does_not_depend_on_the_batches(
    config: StreamConfig, probe_set: ProbeSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = [
        {"id": i, "timestamp": START, "text": t}
        for i, t in enumerate(["free", "thanks free", "thank you very much", "a b c d"] * 60)
    ]
    path = write(tmp_path / "train.jsonl", records)
    monkeypatch.setattr(training, "MOST_VOTES", 100)
    whole = fit(config, probe_set, path)
    assert whole.model is not None
    assert whole.model.records == 100
    monkeypatch.setattr(training, "BATCH", 7)
    assert fit(config, probe_set, path).encode() == whole.encode()


def test_without_enough_votes_there_is_no_label_model(
    config: StreamConfig, probe_set: ProbeSet, tmp_path: Path
) -> None:
    np.save(tmp_path / "L.npy", votes_for(20))
    assert training.fit_votes(config, probe_set, tmp_path / "L.npy").model is None


def test_what_scripts_and_people_are_told_of_a_baseline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEGAUGE_DATABASE", f"sqlite:///{tmp_path}/cli.db")
    np.save(tmp_path / "L.npy", votes_for(5_000))
    stream, runner = str(write_stream(tmp_path)), CliRunner()
    votes = ["--name", "b", "--votes", str(tmp_path / "L.npy")]
    fitted = runner.invoke(app, ["baseline", "fit", stream, *votes, "--json"])
    assert fitted.exit_code == 0, fitted.output
    shown = runner.invoke(app, ["baseline", "show", "b", "--json"])
    facts = json.loads(shown.stdout)
    assert json.loads(fitted.stdout) == {"name": "b", **facts, "warnings": []}
    assert facts["label_model"]["class_shares"]["SPAM"] == pytest.approx(0.4, abs=0.03)
    assert set(facts["label_model"]["precision"]) == {"mentions_free", "thanks", "short"}
    assert "relative to the consensus" in runner.invoke(app, ["baseline", "show", "b"]).stdout


PREDICTING: dict[str, Any] = {
    "classes": ["HAM", "SPAM"],
    "probes": [
        *({"name": name, "external": {"field": name}} for name in "abcd"),
        {"name": "model", "prediction": {"field": "model"}},
    ],
}


def labelled(n: int, spam: float = 0.3) -> Iterator[dict[str, Any]]:
    """Yield records of which two in three have a label.

    Four LFs vote on them; the model is right on 9 of 10 hams and 6 of 10 spams.
    """
    rng = np.random.default_rng(1)
    names = ("HAM", "SPAM")
    for i in range(n):
        y = int(rng.random() < spam)
        said = {f: names[y if rng.random() < 0.85 else 1 - y] for f in "abcd"}
        votes = {f: label if rng.random() < 0.5 else None for f, label in said.items()}
        model = names[y if rng.random() < (0.9, 0.6)[y] else 1 - y]
        gold = {} if i % 3 == 2 else {"truth": names[y] if i % 2 else y}
        yield {"id": i, "timestamp": START + i, "text": "", "model": model, **votes, **gold}


@pytest.fixture
def predicting(tmp_path: Path) -> tuple[StreamConfig, ProbeSet]:
    config = load_stream(write_stream(tmp_path, probes=PREDICTING))
    return config, load(config.probes, tmp_path)


def fit_gold(
    predicting: tuple[StreamConfig, ProbeSet], path: Path, gold: str = "truth"
) -> Baseline:
    return training.fit_records(*predicting, path, lambda: NOW, lambda _: None, gold=gold)


def test_gold_labels_tell_how_right_the_model_is(
    predicting: tuple[StreamConfig, ProbeSet], tmp_path: Path
) -> None:
    records = list(labelled(6_000))
    fitted = fit_gold(predicting, write(tmp_path / "train.jsonl", records))
    known = [r for r in records if "truth" in r]
    right = sum(r["truth"] in {r["model"], int(r["model"] == "SPAM")} for r in known)
    assert fitted.source["gold_records"] == len(known) == 4_000
    assert fitted.gold is not None
    assert fitted.gold.accuracy == pytest.approx(right / len(known))
    again = baselines.decode(fitted.encode())
    assert again.gold is not None
    assert again.encode() == fitted.encode()
    assert again.gold.accuracy == fitted.gold.accuracy
    assert fitted.model is not None
    assert not fitted.model.witnesses[4], "the model judges nobody"
    assert fitted.model.prior[1] == pytest.approx(0.3, abs=0.04)


def test_of_many_gold_labels_a_uniform_sample_is_kept(
    predicting: tuple[StreamConfig, ProbeSet], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "MOST_GOLD", 300)
    fitted = fit_gold(predicting, write(tmp_path / "train.jsonl", list(labelled(3_000))))
    assert fitted.gold is not None
    assert fitted.gold.outcomes.shape == (300, 5)
    assert fitted.source["gold_records"] == 2_000


def test_gold_labels_that_cannot_be_used_are_refused(
    predicting: tuple[StreamConfig, ProbeSet],
    config: StreamConfig,
    probe_set: ProbeSet,
    tmp_path: Path,
) -> None:
    path = write(tmp_path / "train.jsonl", list(labelled(150)))
    with pytest.raises(BaselineError, match=r"no record has a gold label at 'absent'"):
        fit_gold(predicting, path, "absent")
    one = [{**record, "truth": "HAM"} for record in labelled(150)]
    with pytest.raises(BaselineError, match=r"the 150 gold labels cover only 1 of 2 classes"):
        fit_gold(predicting, write(tmp_path / "one.jsonl", one))
    wrong = [{**record, "truth": "eggs"} for record in labelled(3)]
    with pytest.raises(BaselineError, match=r"'eggs' at 'truth', which is not one of .* HAM, SPAM"):
        fit_gold(predicting, write(tmp_path / "wrong.jsonl", wrong))
    other = CliRunner().invoke(
        app, ["baseline", "fit", "s.yaml", "--name", "b", "--votes", "L.npy", "--gold", "truth"]
    )
    assert "give --records FILE" in str(other.exception)


def test_a_few_gold_labels_give_class_shares_without_a_deployed_model(
    predicting: tuple[StreamConfig, ProbeSet], tmp_path: Path
) -> None:
    """100 labels are too few to follow the model's accuracy, and enough for the shares."""
    records = [
        record if i < 150 else {k: v for k, v in record.items() if k != "truth"}
        for i, record in enumerate(labelled(6_000))
    ]
    fitted = fit_gold(predicting, write(tmp_path / "train.jsonl", records))
    assert fitted.gold is None
    assert fitted.source["gold_records"] == 100
    assert fitted.model is not None
    assert fitted.model.labels == 100
    assert fitted.model.records == 6_000
    assert fitted.model.levels
    assert not fitted.model.shares_followed
    assert fitted.model.prior[1] == pytest.approx(0.3, abs=0.08)
    without = {**PREDICTING, "probes": PREDICTING["probes"][:4]}
    config = load_stream(write_stream(tmp_path, probes=without))
    plain = fit_gold((config, load(config.probes, tmp_path)), tmp_path / "train.jsonl")
    assert plain.gold is None
    assert plain.model is not None
    assert plain.model.labels == 100


@pytest.mark.parametrize(
    ("balance", "says"),
    [
        ({"HAM": 0.5, "EGGS": 0.5}, "names 'EGGS'; give a share for each of HAM, SPAM"),
        ({"HAM": 1.0}, "leaves out 'SPAM'"),
        ({"HAM": 0.7, "SPAM": 0.7}, r"add up to 1, not HAM=0.7, SPAM=0.7"),
        ({"HAM": 1.0, "SPAM": 0.0}, "positive shares"),
        ({"HAM": float("nan"), "SPAM": 0.5}, "positive shares"),
    ],
)
def test_a_class_balance_that_is_none_is_refused(
    config: StreamConfig,
    probe_set: ProbeSet,
    tmp_path: Path,
    balance: dict[str, float],
    says: str,
) -> None:
    np.save(tmp_path / "L.npy", votes_for(500))
    with pytest.raises(BaselineError, match=says):
        training.fit_votes(config, probe_set, tmp_path / "L.npy", balance=balance)


def test_a_class_balance_is_taken_from_the_command_line_and_the_stream_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sqlite_database: Database
) -> None:
    monkeypatch.setenv("TIDEGAUGE_DATABASE", f"sqlite:///{tmp_path}/cli.db")
    np.save(tmp_path / "L.npy", votes_for(5_000))
    chosen = {"path": "L.npy", "balance": {"HAM": 0.7, "SPAM": 0.3}}
    stream, runner = str(write_stream(tmp_path, baseline=chosen)), CliRunner()
    votes = ["baseline", "fit", stream, "--name", "b", "--votes", str(tmp_path / "L.npy")]
    done = runner.invoke(app, [*votes, "--balance", "HAM=.9, SPAM=.1", "--json"])
    facts = json.loads(done.stdout)
    assert facts["label_model"]["class_shares"] == pytest.approx({"HAM": 0.9, "SPAM": 0.1})
    assert facts["source"]["balance"] == {"HAM": 0.9, "SPAM": 0.1}
    wrong = runner.invoke(app, [*votes, "--balance", "HAM:.9"])
    assert "'HAM:.9' is not a class balance: write one share per class" in str(wrong.exception)
    a_range = {"from": to_iso(START), "until": to_iso(START + HOUR), "balance": {"HAM": 1.0}}
    early = load_stream(write_stream(tmp_path, baseline=a_range))
    with pytest.raises(BaselineError, match="leaves out 'SPAM'"):
        find_baseline(early, load(early.probes, tmp_path), sqlite_database, lambda: NOW)
    loaded = load_stream(write_stream(tmp_path, baseline=chosen))
    found = find_baseline(loaded, load(loaded.probes, tmp_path), sqlite_database, lambda: NOW)
    assert found is not None
    assert found.model is not None
    assert found.model.given
    assert found.model.prior.tolist() == pytest.approx([0.7, 0.3])


def refused(config: StreamConfig, probe_set: ProbeSet, path: Path) -> str:
    with pytest.raises(BaselineError) as caught:
        training.fit_votes(config, probe_set, path)
    return str(caught.value)


NO_VOTES: dict[str, tuple[Any, str]] = {
    "two columns": (np.zeros((5, 2), np.int8), r"shape (5, 2), not (records, 3)"),
    "one dimension": (np.zeros(3, np.int8), r"shape (3,), not (records, 3)"),
    "three dimensions": (np.zeros((5, 3, 1), np.int8), "shape (5, 3, 1)"),
    "floats": (np.zeros((5, 3)), "float64, not integers"),
    "truths": (np.zeros((5, 3), np.bool_), "bool, not integers"),
    "texts": (np.full((5, 3), "x"), "not integers"),
    "a class too high": (np.full((5, 3), 2, np.int8), "votes 2…2; the ProbeSet has classes 0…1"),
    "256 that wraps to 0": (np.full((5, 3), 256, np.int64), "votes 256…256"),
    "a vote too low": (np.full((5, 3), -2, np.int8), "votes -2…-2"),
    "no records": (np.zeros((0, 3), np.int8), "the baseline is empty"),
}


@pytest.mark.parametrize("name", NO_VOTES)
@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_what_is_no_vote_matrix_is_refused(
    config: StreamConfig, probe_set: ProbeSet, tmp_path: Path, name: str, suffix: str
) -> None:
    votes, said = NO_VOTES[name]
    path = tmp_path / f"L.{suffix}"
    if suffix == "npy":
        np.save(path, votes)
    else:
        np.savez(path, votes)
    assert said in refused(config, probe_set, path)


class Trap:
    """Would write a file if it were unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_a_pickled_object_is_refused_and_not_run(
    config: StreamConfig, probe_set: ProbeSet, tmp_path: Path, suffix: str
) -> None:
    path, sprung = tmp_path / f"L.{suffix}", tmp_path / "sprung"
    objects = np.array([[Trap(sprung)] * 3], dtype=object)
    if suffix == "npy":
        np.save(path, objects, allow_pickle=True)
    else:
        np.savez(path, objects)
    assert "cannot read the vote matrix" in refused(config, probe_set, path)
    assert not sprung.exists()


@pytest.mark.parametrize("name", ["L.npy", "L.npz"])
@pytest.mark.parametrize(
    "content", [b"", b"hello", b"PK\x03\x04 a zip that breaks off", b"\x93NUMPY"]
)
def test_a_broken_file_is_refused(
    config: StreamConfig, probe_set: ProbeSet, tmp_path: Path, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    assert f"cannot read the vote matrix {tmp_path / name}" in refused(
        config, probe_set, tmp_path / name
    )


def test_a_missing_matrix_is_named(
    config: StreamConfig, probe_set: ProbeSet, tmp_path: Path
) -> None:
    assert "No such file" in refused(config, probe_set, tmp_path / "L.npy")


def test_an_archive_without_arrays_is_refused(
    config: StreamConfig, probe_set: ProbeSet, tmp_path: Path
) -> None:
    np.savez(tmp_path / "L.npz")
    assert "contains no array" in refused(config, probe_set, tmp_path / "L.npz")
