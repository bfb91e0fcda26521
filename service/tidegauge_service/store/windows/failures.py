"""Which LFs have failed on any of the records that a stream has counted, and over what."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import sqlalchemy as sa

from tidegauge_probes.counts import panes as counts
from tidegauge_service.store import layouts, schema
from tidegauge_service.store.streams import StreamRow


@dataclass(frozen=True, slots=True)
class LfFailures:
    """The failures of an LF: on which share (0…1) of the records, and mostly over what."""

    probe: str
    share: float
    type: str
    message: str


def lf_failures(connection: sa.Connection, stream: StreamRow) -> tuple[LfFailures, ...]:
    """Return the LFs that have failed on any record, the worst first.

    Reads all counted windows of the stream's ProbeSet, one after another.
    """
    t = schema.pane
    mine = (t.c.stream_id == stream.id, t.c.probe_set == stream.probe_set, t.c.records > 0)
    records, errors = 0, Counter[int]()
    faults, messages = Counter[tuple[int, str]](), dict[tuple[int, str], str]()
    for encoded in connection.execute(sa.select(t.c.counts).where(*mine)).scalars():
        pane = counts.decode(encoded)
        records += pane.records
        errors.update(dict(enumerate(pane.all.errors.tolist())))
        for key, (n, message) in pane.faults.items():
            faults[key] += n
            messages[key] = min(messages.get(key, message), message)
    probes = layouts.layout_of(connection, stream.probe_set).probes
    found = []
    for column, n in errors.items():
        if n:
            own = {key: faults[key] for key in faults if key[0] == column}
            key = max(own, key=lambda k: own[k], default=(column, ""))
            share = n / records
            found.append(LfFailures(probes[column], share, key[1], messages.get(key, "")))
    return tuple(sorted(found, key=lambda one: (-one.share, one.probe)))
