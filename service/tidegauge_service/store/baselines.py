"""Baselines: frozen, named by content, found by id or by the name people gave."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass

import sqlalchemy as sa
import structlog

from tidegauge_probes.drift import baseline as baselines
from tidegauge_probes.drift.baseline import Baseline
from tidegauge_probes.errors import BaselineError, nearest
from tidegauge_service.store import schema, upsert

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class BaselineRow:
    """A baseline as it is listed."""

    id: str
    name: str | None
    probe_set: str
    source: str
    records: int
    windows: int
    created_ms: int


def save(connection: sa.Connection, baseline: Baseline, name: str | None, now_ms: int) -> None:
    """Freeze a baseline; equal content is stored once. BaselineError if the name is taken."""
    t = schema.baseline
    if name is not None:
        taken = connection.execute(sa.select(t.c.id).where(t.c.name == name)).scalar_one_or_none()
        if taken not in {None, baseline.id}:
            msg = (
                f"a different baseline named '{name}' already exists ({taken}): choose another "
                "name, or give `--replace`"
            )
            raise BaselineError(msg)
    followed = baseline.clock_change
    if followed is not None:
        source = dict(baseline.source)
        log.warning("clock_change", baseline=baseline.id, advice=followed.advice, source=source)
    row = {
        "id": baseline.id,
        "name": name,
        "probe_set": baseline.probe_set,
        "source": json.dumps(dict(baseline.source)),
        "records": baseline.total.records,
        "windows": len(baseline.starts),
        "content": baseline.encode(),
        "clock_change": None if followed is None else json.dumps(asdict(followed)),
        "created_ms": now_ms,
    }
    upsert.keep(connection, t, [row])
    if name is not None:
        connection.execute(sa.update(t).where(t.c.id == baseline.id).values(name=name))


def release_name(connection: sa.Connection, name: str) -> None:
    """Leave the baseline of that name without one. Deployments keep it: they know it by its id."""
    t = schema.baseline
    connection.execute(sa.update(t).where(t.c.name == name).values(name=None))


def load(connection: sa.Connection, baseline_id: str) -> Baseline:
    """Return the baseline of that id."""
    t = schema.baseline
    content = connection.execute(sa.select(t.c.content).where(t.c.id == baseline_id)).scalar_one()
    return baselines.decode(content)


def find(connection: sa.Connection, name: str) -> Baseline:
    """Return the baseline of that name or id; BaselineError names the nearest known one."""
    t = schema.baseline
    query = sa.select(t.c.content).where(sa.or_(t.c.name == name, t.c.id == name))
    content = connection.execute(query).scalar_one_or_none()
    if content is None:
        raise unknown(name, [row.name or row.id for row in listing(connection)])
    return baselines.decode(content)


def unknown(name: str, known: Iterable[str]) -> BaselineError:
    """Return the error that there is no baseline of that name; it names the nearest *known* one."""
    said = f"there is no baseline '{name}'{nearest(name, known)}"
    end = "" if said.endswith("?") else "."
    return BaselineError(f"{said}{end} To fit one: `tidegauge baseline fit`")


def is_known(connection: sa.Connection, name: str) -> bool:
    """Whether there is a baseline of that name or id."""
    t = schema.baseline
    query = sa.select(t.c.id).where(sa.or_(t.c.name == name, t.c.id == name))
    return connection.execute(query).first() is not None


def check(found: Baseline, *, stream: str, probe_set: str, window_ms: int) -> None:
    """BaselineError unless windows of a ProbeSet can be compared with the baseline."""
    if found.probe_set != probe_set:
        msg = (
            f"the baseline {found.id} belongs to ProbeSet {found.probe_set}, but would be compared "
            f"with ProbeSet {probe_set} of stream '{stream}': fit a baseline with those LFs"
        )
        raise BaselineError(msg)
    if len(found.starts) and found.window_ms != window_ms:
        msg = (
            f"the baseline {found.id} has windows of {found.window_ms} ms, but the "
            f"stream '{stream}' has windows of {window_ms} ms: fit it again with the "
            "stream's `window`"
        )
        raise BaselineError(msg)


def listing(connection: sa.Connection) -> list[BaselineRow]:
    """Return all baselines, newest first."""
    t = schema.baseline
    columns = (
        t.c.id,
        t.c.name,
        t.c.probe_set,
        t.c.source,
        t.c.records,
        t.c.windows,
        t.c.created_ms,
    )
    query = sa.select(*columns).order_by(t.c.created_ms.desc(), t.c.id)
    return [BaselineRow(*row) for row in connection.execute(query)]
