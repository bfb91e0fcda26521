from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.service import oracle
from tests.service.streams_for_tests import PROBES, write_stream
from tests.service.transactions import read, write
from tidegauge_probes import load
from tidegauge_probes.counts import panes
from tidegauge_probes.drift import baseline as baselines
from tidegauge_probes.drift.baseline import Baseline
from tidegauge_probes.errors import BaselineError
from tidegauge_probes.labeling.probe_set import ProbeSet
from tidegauge_service.config.stream_file import load_stream
from tidegauge_service.errors import SettingsError
from tidegauge_service.store import baselines as stored
from tidegauge_service.store import deployments, layouts, registration, schema, streams
from tidegauge_service.store.engine import Database
from tidegauge_service.store.streams import CLOSED, EVALUATED, StreamRow


def register(database: Database, folder: Path, now_ms: int = 1, **changes: Any) -> StreamRow:
    config = load_stream(write_stream(folder, **changes))
    return write(database, registration.register, config, load(config.probes, folder), now_ms)


def probe_set_of(folder: Path) -> ProbeSet:
    config = load_stream(write_stream(folder))
    return load(config.probes, folder)


def test_a_stream_is_registered_once_and_found_again(database: Database, tmp_path: Path) -> None:
    first = register(database, tmp_path)
    assert register(database, tmp_path, now_ms=2) == first
    assert read(database, streams.find, "test") == first
    assert read(database, streams.find, "other") is None
    with database.read() as connection:
        assert streams.names(streams.select_streams(connection)) == ["test"]
        for kind in (CLOSED, EVALUATED):
            assert streams.cursor(connection, first.id, kind) is None
        layout = layouts.layout_of(connection, first.probe_set)
    assert layout == probe_set_of(tmp_path).layout
    assert layout.probes == oracle.PROBE_NAMES


def test_streams_are_listed_by_name(database: Database, tmp_path: Path) -> None:
    for name in ("b", "a", "c"):
        register(database, tmp_path, name=name)
    with database.read() as connection:
        assert streams.names(streams.select_streams(connection)) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("change", "what"),
    [({"window": "2h"}, "window"), ({"lateness": "11m"}, "lateness")],
)
def test_what_counts_depend_on_may_not_change_under_a_name(
    database: Database, tmp_path: Path, change: dict[str, str], what: str
) -> None:
    before = register(database, tmp_path)
    config = load_stream(write_stream(tmp_path, **change))
    with pytest.raises(
        SettingsError, match=f"different `{what}`.*Restore the old `{what}`.*new `name`"
    ):
        write(database, registration.register, config, load(config.probes, tmp_path), 2)
    assert read(database, streams.find, "test") == before
    config = load_stream(write_stream(tmp_path, name="next", **change))
    assert (
        write(database, registration.register, config, load(config.probes, tmp_path), 2).id
        != before.id
    )


def test_lfs_that_were_not_deployed_are_refused_with_the_command(
    database: Database, tmp_path: Path
) -> None:
    before = register(database, tmp_path)
    fewer = {**PROBES, "probes": PROBES["probes"][:2]}
    path = write_stream(tmp_path, fewer)
    config = load_stream(path)
    command = rf"not deployed; {before.probe_set} is live.*`tidegauge probes deploy {path}`"
    with pytest.raises(SettingsError, match=command):
        write(database, registration.register, config, load(config.probes, tmp_path), 2)
    assert read(database, streams.find, "test") == before


def test_what_counts_do_not_depend_on_may_change(database: Database, tmp_path: Path) -> None:
    first = register(database, tmp_path)
    assert (
        register(database, tmp_path, alerts={"false_alarms": "1 per day"}, segment_by=["country"])
        == first
    )


def test_secrets_are_not_stored(database: Database, tmp_path: Path) -> None:
    source = {
        "kind": "kafka",
        "bootstrap": "b:1",
        "topic": "t",
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "PLAIN",
        "sasl_username": "u",
        "sasl_password": "hush",
    }
    register(database, tmp_path, source=source)
    with database.read() as connection:
        config = connection.execute(sa.select(schema.stream.c.config)).scalar_one()
    assert "hush" not in config
    assert json.loads(config)["source"]["topic"] == "t"


def test_partitions_are_seeded_once(database: Database, tmp_path: Path) -> None:
    stream = register(database, tmp_path)
    write(database, streams.seed_partitions, stream.id, {1: 5, 0: 3}, 1)
    write(database, streams.seed_partitions, stream.id, {0: 99, 1: 99, 2: 7}, 2)
    with database.read() as connection:
        rows = streams.partitions(connection, stream.id)
    assert [(p.partition, p.next_offset, p.watermark_ms) for p in rows] == [
        (0, 3, None),
        (1, 5, None),
        (2, 7, None),
    ]
    write(database, streams.seed_partitions, stream.id, {}, 3)


def fitted(folder: Path, records: int) -> Baseline:
    probe_set = probe_set_of(folder)
    pane = panes.empty(len(probe_set.probes), probe_set.cardinality)
    votes = [[0, 1, -1]] * records
    import numpy as np

    from tidegauge_probes.model import VoteMatrix

    matrix = VoteMatrix(
        np.array(votes, dtype=np.int8), np.empty((records, 0), np.bool_), np.zeros(3)
    )
    return baselines.fit(
        {0: pane + panes.fold(matrix, 2, {})},
        layout=probe_set.layout,
        probe_set=probe_set.id,
        window_ms=3_600_000,
        source={"records": records},
        slices=[],
    )


def test_a_baseline_is_found_by_name_and_by_id(database: Database, tmp_path: Path) -> None:
    one, two = fitted(tmp_path, 10), fitted(tmp_path, 20)
    with database.write() as connection:
        stored.save(connection, one, "spring", 1)
        stored.save(connection, two, None, 2)
        stored.save(connection, one, None, 3)
        stored.save(connection, one, "spring", 4)
    with database.read() as connection:
        assert stored.find(connection, "spring").id == one.id
        assert stored.find(connection, two.id).encode() == two.encode()
        assert stored.load(connection, one.id).total == one.total
        rows = stored.listing(connection)
    assert [(row.id, row.name, row.records) for row in rows] == [
        (two.id, None, 20),
        (one.id, "spring", 10),
    ]


def test_a_name_belongs_to_one_baseline(database: Database, tmp_path: Path) -> None:
    with database.write() as connection:
        stored.save(connection, fitted(tmp_path, 10), "spring", 1)
    with (
        pytest.raises(
            BaselineError, match=r"a different baseline named 'spring'.*choose another name"
        ),
        database.write() as connection,
    ):
        stored.save(connection, fitted(tmp_path, 20), "spring", 2)


def test_an_unknown_baseline_names_the_nearest(database: Database, tmp_path: Path) -> None:
    with database.write() as connection:
        stored.save(connection, fitted(tmp_path, 10), "spring", 1)
    with (
        pytest.raises(BaselineError, match=r"did you mean 'spring'.*tidegauge baseline fit"),
        database.read() as connection,
    ):
        stored.find(connection, "sprin")


def test_a_stream_has_the_baseline_that_was_attached(database: Database, tmp_path: Path) -> None:
    stream, chosen = register(database, tmp_path), fitted(tmp_path, 10)
    with database.write() as connection:
        stored.save(connection, chosen, None, 1)
        (version,) = deployments.of_stream(connection, stream.id)
        deployments.attach(connection, stream, version, chosen.id)
    found = read(database, streams.find, "test")
    assert found
    assert found.baseline == chosen.id
