"""A group whose LFs are changed under it, and what must be true whatever happened."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import yaml

from tests.service import oracle
from tests.service.group import NOW, Group
from tests.service.memory_source import Topic
from tests.service.streams_for_tests import PROBES
from tidegauge_probes import ProbeSet, load
from tidegauge_probes.counts import panes as counts
from tidegauge_service.deployments import changes
from tidegauge_service.deployments.changes import Wanted
from tidegauge_service.store import deployments, schema
from tidegauge_service.store.deployments import Author, Deployment, Reference
from tidegauge_service.store.engine import Database
from tidegauge_service.store.streams import Role

ALL, FEWER, ONE = oracle.PROBE_NAMES, ("mentions_free", "short"), ("thanks",)
SETS: Sequence[tuple[str, ...]] = (ALL, FEWER, ONE)
"""Names of the LFs of each deployment; the first is the stream's own."""

BASE = "some-baseline"
SOMEBODY = Author("somebody", NOW)


def only(names: Sequence[str]) -> dict[str, Any]:
    """Return a ProbeSet file with the LFs of these names."""
    return PROBES | {"probes": [p for p in PROBES["probes"] if p["name"] in names]}


class Redeployed(Group):
    """A group with ProbeSets to deploy. None is compared: the baselines are names only."""

    def __init__(self, folder: Path, database: Database, topic: Topic, **changes: Any) -> None:
        super().__init__(folder, database, topic, **changes)
        self.sets: list[ProbeSet] = []
        for i, names in enumerate(SETS):
            (folder / f"probes_{i}.yaml").write_text(yaml.safe_dump(only(names)))
            self.sets.append(load(f"probes_{i}.yaml", folder))
        self.names = {found.id: names for found, names in zip(self.sets, SETS, strict=True)}
        with database.write() as connection:
            (first,) = deployments.of_stream(connection, self.stream.id)
            deployments.attach(connection, self.stream, first, BASE)

    def wanted(self, which: int) -> Wanted:
        return Wanted(self.sets[which], f"probes_{which}.yaml", Reference(f"{BASE}-{which}"))

    def deploy(self, which: int) -> Deployment:
        return changes.deploy(self.database, self.stream, self.wanted(which), SOMEBODY)

    def shadow(self, which: int) -> Deployment:
        return changes.shadow(self.database, self.stream, self.wanted(which), SOMEBODY)

    def roll_back(self) -> Deployment:
        return changes.roll_back(self.database, self.stream, SOMEBODY)

    def end_shadow(self) -> Deployment:
        return changes.end_shadow(self.database, self.stream, SOMEBODY)

    def known(self) -> list[Deployment]:
        with self.database.read() as connection:
            return deployments.of_stream(connection, self.stream.id)

    def panes(self) -> dict[tuple[int, int, str], oracle.Tally]:
        """Return (partition, window, ProbeSet) → what is stored."""
        t = schema.pane
        with self.database.read() as connection:
            rows = connection.execute(sa.select(t).where(t.c.stream_id == self.stream.id))
            return {
                (r.partition, r.window_start_ms, r.probe_set): oracle.tally_pane(
                    counts.decode(r.counts), self.names[r.probe_set]
                )
                for r in rows
            }

    def expected(self) -> dict[tuple[int, int, str], oracle.Tally]:
        """Return what must be stored, given which deployments count what, and how many were late.

        Which were late is known: a window is closed once and for all, so the last of a partition.
        """
        late = oracle.late(self.database, self.stream)
        known, found = self.known(), {}
        for (partition, start), records in oracle.placed(self.topic).items():
            in_time = records[: len(records) - late.get((partition, start), 0)]
            for probe_set in self._counting(known, start):
                tally = oracle.tally_records(in_time, self.names[probe_set])
                if tally:
                    found[partition, start, probe_set] = tally
        return found

    def _counting(self, known: Sequence[Deployment], start: int) -> Iterator[str]:
        yield deployments.live_at(known, start).probe_set
        yield from (d.probe_set for d in known if d.role == Role.SHADOW and d.counts(start))

    def assert_whole(self) -> None:
        """Each window was counted by its deployments, all of it, and by no other."""
        assert self.panes() == self.expected()
        records = [sum(value.startswith(b"{") for value in inputs) for inputs in self.topic]
        assert [(p.next_offset, p.records) for p in self.partitions()] == [
            (len(inputs), n) for inputs, n in zip(self.topic, records, strict=True)
        ]
        assert oracle.dead(self.database, self.stream) == sorted(oracle.expected_dead(self.topic))
