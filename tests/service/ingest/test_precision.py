"""A label model from a range of the stream, and what it says of the windows after it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.service.group import NOW, Group
from tests.service.streams_for_tests import HOUR, START
from tests.service.transactions import read, write
from tidegauge_probes.drift.baseline import Baseline
from tidegauge_service.baselines import training
from tidegauge_service.clock import to_iso
from tidegauge_service.jobs.evaluator import Evaluator
from tidegauge_service.store import baselines, deployments, schema, streams
from tidegauge_service.store.engine import Database
from tidegauge_service.store.ingest import commit
from tidegauge_service.store.scope import StreamScope
from tidegauge_service.store.streams import Role
from tidegauge_service.store.windows import precision
from tidegauge_service.store.windows.precision import LfPrecision, WindowPrecision

LEARNED, LIVE, EACH = 48, 20, 250
BROKEN = LEARNED + 8
"""From this window on LF `e` votes whatever the class is."""

SPAM = 0.4
RIGHT = 0.9
LFS = "abcdef"

PROBES: dict[str, Any] = {
    "classes": ["HAM", "SPAM"],
    "probes": [{"name": name, "external": {"field": name}} for name in LFS],
}


def messages(windows: int) -> Iterator[bytes]:
    """Yield records that carry the votes of six LFs, each right in 9 of 10, on half of them."""
    rng = np.random.default_rng(3)
    for n in range(windows * EACH):
        hour, place = divmod(n, EACH)
        spam = rng.random() < SPAM
        right, silent = rng.random(6) < RIGHT, rng.random(6) < 0.5
        if hour >= BROKEN:
            right[4] = (rng.random() < 0.5) == spam
        says = np.where(right == spam, "SPAM", "HAM").tolist()
        votes = [None if s else label for label, s in zip(says, silent, strict=True)]
        at = to_iso(START + hour * HOUR + place * 1_000)
        record = {"id": str(n), "timestamp": at, "text": "", **dict(zip(LFS, votes, strict=True))}
        yield json.dumps(record).encode()


def group(
    folder: Path,
    database: Database,
    windows: int = LEARNED + LIVE,
    balance: dict[str, float] | None = None,
    **changes: Any,
) -> Group:
    """Read a stream, and evaluate all of it."""
    baseline: dict[str, Any] = {"from": to_iso(START), "until": to_iso(START + LEARNED * HOUR)}
    baseline |= {} if balance is None else {"balance": balance}
    limits = {"commit_records": 5_000}
    topic = [list(messages(windows))]
    found = Group(
        folder, database, topic, probes=PROBES, baseline=baseline, limits=limits, **changes
    )
    found.member().to_end()
    write(database, commit.close_windows, found.stream)
    evaluator = Evaluator(StreamScope(found.config, found.stream, database, lambda: NOW))
    while evaluator.evaluate_next():
        pass
    return found


def fitted(found: Group) -> Baseline:
    with found.database.read() as connection:
        [row] = streams.select_streams(connection)
        assert row.baseline is not None
        return baselines.load(connection, row.baseline)


def figures(window: WindowPrecision) -> dict[tuple[str, str], LfPrecision]:
    return {(f.probe, f.label): f for f in window.lfs}


def test_a_range_of_the_stream_gives_a_label_model_and_its_windows_precision(
    database: Database, tmp_path: Path
) -> None:
    found = group(tmp_path, database)
    model = fitted(found).model
    assert model is not None
    assert model.records == LEARNED * 50, "the uniform sample of each window"
    assert model.prior[1] == pytest.approx(SPAM, abs=0.04)
    judged = read(database, precision.page, found.stream)
    assert [w.start_ms for w in judged] == [START + (LEARNED + n) * HOUR for n in range(LIVE)]

    quiet = judged[BROKEN - LEARNED - 1]
    assert (quiet.windows, quiet.records) == (8, 8 * EACH)
    truth = SPAM * RIGHT / (SPAM * RIGHT + (1 - SPAM) * (1 - RIGHT))
    for name in LFS:
        spam = figures(quiet)[name, "SPAM"]
        assert spam.precision == pytest.approx(truth, abs=0.06)
        assert not spam.changed
        assert spam.low is not None
        assert spam.high is not None
        assert spam.low < truth < spam.high
    assert quiet.shares[1].share == pytest.approx(SPAM, abs=0.04)

    last = figures(judged[-1])
    assert {key for key, f in last.items() if f.changed} == {("e", "HAM"), ("e", "SPAM")}
    assert last["e", "SPAM"].precision == pytest.approx(SPAM, abs=0.1)
    assert last["e", "SPAM"].baseline == pytest.approx(truth, abs=0.06)


def test_class_shares_that_are_given_are_those_of_the_range(
    sqlite_database: Database, tmp_path: Path
) -> None:
    found = group(tmp_path, sqlite_database, LEARNED + 1, {"HAM": 0.7, "SPAM": 0.3})
    model = fitted(found).model
    assert model is not None
    assert (model.given, model.prior.tolist()) == (True, [0.7, 0.3])
    assert fitted(found).source["balance"] == {"HAM": 0.7, "SPAM": 0.3}


def test_before_there_are_enough_records_nothing_is_said(
    sqlite_database: Database, tmp_path: Path
) -> None:
    found = group(tmp_path, sqlite_database, LEARNED + 7)
    for window in read(sqlite_database, precision.page, found.stream):
        assert (window.windows, window.records) == (0, 0)
        assert [s.share for s in window.shares] == [None, None]
        assert {(f.precision, f.low, f.high, f.expected) for f in window.lfs} == {(None,) * 4}
        assert all(f.baseline for f in window.lfs), "the baseline is known"


def test_votes_are_kept_only_until_the_model_is_fitted(
    sqlite_database: Database, tmp_path: Path
) -> None:
    found = group(tmp_path, sqlite_database, LEARNED, samples={"keep_windows": 1})
    assert votes_kept(sqlite_database) == LEARNED
    with sqlite_database.read() as connection:
        until = START + LEARNED * HOUR
        votes, weights = precision.kept_votes(connection, found.stream, START, until, len(LFS))
        early, _ = precision.kept_votes(connection, found.stream, START, START + HOUR, len(LFS))
    assert votes.shape == (LEARNED * 50, len(LFS))
    assert early.tolist() == votes[:50].tolist()
    assert weights.tolist() == [EACH / 50] * len(votes)
    (tmp_path / "more").mkdir()
    again = group(tmp_path / "more", sqlite_database, LEARNED + 1)
    assert fitted(again).model is not None
    assert votes_kept(sqlite_database) == 0


def votes_kept(database: Database) -> int:
    with database.read() as connection:
        return len(connection.execute(schema.vote_sample.select()).all())


def test_without_samples_there_is_no_model_and_no_figure(
    sqlite_database: Database, tmp_path: Path
) -> None:
    found = group(tmp_path, sqlite_database, LEARNED + 2, samples={"each": 0})
    assert fitted(found).model is None
    assert read(sqlite_database, precision.page, found.stream) == []


PREDICTING: dict[str, Any] = {
    "classes": ["HAM", "SPAM"],
    "probes": [*PROBES["probes"], {"name": "model", "prediction": {"field": "model"}}],
}


def with_the_model(windows: int) -> Iterator[dict[str, Any]]:
    """Yield records with the label of a model that misses half of the spam; it trebles."""
    rng = np.random.default_rng(4)
    for n in range(windows * EACH):
        hour, place = divmod(n, EACH)
        spam = rng.random() < (0.2 if hour < LEARNED else 0.6)
        said = {f: "SPAM" if (rng.random() < RIGHT) == spam else "HAM" for f in LFS}
        votes = {f: label if rng.random() < 0.5 else None for f, label in said.items()}
        caught = rng.random() < (0.5 if spam else 0.95)
        model = "SPAM" if caught == spam else "HAM"
        at = to_iso(START + hour * HOUR + place * 1_000)
        truth = "SPAM" if spam else "HAM"
        yield {"id": str(n), "timestamp": at, "text": "", "model": model, "truth": truth, **votes}


def test_the_accuracy_of_the_model_falls_with_the_classes_and_nobody_labelled_a_record(
    sqlite_database: Database, tmp_path: Path
) -> None:
    records = list(with_the_model(LEARNED + 12))
    live = [{**r, "truth": None} for r in records[LEARNED * EACH :]]
    train = tmp_path / "train.jsonl"
    train.write_text("".join(json.dumps(r) + "\n" for r in records[: LEARNED * EACH]))
    found = Group(
        tmp_path,
        sqlite_database,
        [[json.dumps(r).encode() for r in live]],
        probes=PREDICTING,
        baseline={"name": "gold"},
    )
    gold = training.fit_records(
        found.config, found.probe_set, train, lambda: NOW, lambda _: None, gold="truth"
    )
    with sqlite_database.write() as connection:
        baselines.save(connection, gold, "gold", NOW)
        deployment = deployments.current(
            deployments.of_stream(connection, found.stream.id), Role.LIVE
        )
        assert deployment is not None
        deployments.attach(connection, found.stream, deployment, gold.id)
    found.member().to_end()
    write(sqlite_database, commit.close_windows, found.stream)
    evaluator = Evaluator(StreamScope(found.config, found.stream, sqlite_database, lambda: NOW))
    while evaluator.evaluate_next():
        pass
    accuracy = read(sqlite_database, precision.page, found.stream)[-1].accuracy
    assert accuracy is not None
    assert accuracy.baseline == pytest.approx(0.8 * 0.95 + 0.2 * 0.5, abs=0.02)
    assert accuracy.value == pytest.approx(0.4 * 0.95 + 0.6 * 0.5, abs=0.04)
    assert accuracy.low < accuracy.value < accuracy.high
