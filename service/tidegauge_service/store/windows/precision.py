"""What the label model said of each window, and the votes that it will be fitted from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from tidegauge_probes.label_model.accuracy import Accuracy
from tidegauge_probes.label_model.model import LabelModelKind
from tidegauge_probes.model import Outcomes
from tidegauge_service.store import schema, upsert
from tidegauge_service.store.states import SampleBucket
from tidegauge_service.store.streams import StreamRow


@dataclass(frozen=True, slots=True)
class ClassShare:
    """Share of one class of all records: at baseline, and now; None where too little is known."""

    label: str
    baseline: float
    share: float | None


@dataclass(frozen=True, slots=True)
class LfPrecision:
    """P(the class is *label* | the LF votes *label*); None where too little is known.

    ``expected``: what the baseline's accuracies give under the current mix of classes. ``low``,
    ``high``: 95 % interval. ``changed``: neither chance nor the mix explains it. ``judged``:
    whether there were enough votes to call it changed.
    """

    probe: str
    label: str
    baseline: float | None
    expected: float | None
    precision: float | None
    low: float | None
    high: float | None
    changed: bool
    judged: bool = False


@dataclass(frozen=True, slots=True)
class WindowPrecision:
    """Figures at the end of one window, from it and as many before it as were needed.

    ``windows`` and ``records`` say from how many; 0 if all that could be added up was too little.
    ``kind``: of the label model. ``labels``: gold labels that it has seen. ``withheld``: what is
    not shown because the votes do not tell it, in plain words; empty if all is. ``shares`` is empty
    where class shares are not known, ``lfs`` where nothing is known about the LFs.
    """

    start_ms: int
    baseline: str
    windows: int
    records: int
    shares: tuple[ClassShare, ...]
    lfs: tuple[LfPrecision, ...]
    accuracy: Accuracy | None = None
    """Accuracy of the deployed model; None without gold labels, or with too little data."""
    kind: LabelModelKind = LabelModelKind.FULL
    labels: int = 0
    withheld: str = ""

    @property
    def levels(self) -> bool:
        """Whether precisions may be shown to everybody, not changes alone."""
        return self.kind is LabelModelKind.FULL or self.labels > 0


def save(connection: sa.Connection, stream: StreamRow, found: WindowPrecision) -> None:
    """Write the figures of a window."""
    content = msgspec.json.encode(found).decode()
    row = {"stream_id": stream.id, "window_start_ms": found.start_ms, "content": content}
    connection.execute(sa.insert(schema.precision), row)


def page(
    connection: sa.Connection,
    stream: StreamRow,
    *,
    since_ms: int | None = None,
    until_ms: int | None = None,
    limit: int = 100,
    newest_first: bool = False,
) -> list[WindowPrecision]:
    """Return the figures of windows in [since, until); windows without a label model have none."""
    t = schema.precision
    query = sa.select(t.c.content).where(t.c.stream_id == stream.id)
    if since_ms is not None:
        query = query.where(t.c.window_start_ms >= since_ms)
    if until_ms is not None:
        query = query.where(t.c.window_start_ms < until_ms)
    order = t.c.window_start_ms.desc() if newest_first else t.c.window_start_ms
    found = connection.execute(query.order_by(order).limit(limit)).scalars().all()
    return [msgspec.json.decode(content, type=WindowPrecision) for content in found]


def latest(
    connection: sa.Connection, stream: StreamRow, start_ms: int | None
) -> WindowPrecision | None:
    """Return the figures of the window that starts then, if it has any."""
    if start_ms is None:
        return None
    found = page(connection, stream, since_ms=start_ms, until_ms=start_ms + 1, limit=1)
    return found[0] if found else None


def keep_votes(
    connection: sa.Connection, stream: StreamRow, start: int, *, records: int, most: int
) -> None:
    """Keep the outcomes of at most *most* records of a window: its uniform sample, as it is now.

    The samples themselves, with their records, go sooner. Their order is that of their bytes: the
    same votes give the same label model, to the last digit, wherever their records stood.
    """
    t = schema.sample
    query = (
        sa.select(t.c.outcomes, t.c.buckets)
        .where(
            t.c.stream_id == stream.id,
            t.c.window_start_ms == start,
            t.c.buckets.contains(f'"{SampleBucket.ALL}"', autoescape=True),
        )
        .order_by(t.c.priority, t.c.partition, t.c.offset)
    )
    rows = [row for row in connection.execute(query) if SampleBucket.ALL in json.loads(row.buckets)]
    if not rows[:most]:
        return
    kept = {
        "stream_id": stream.id,
        "window_start_ms": start,
        "probe_set": stream.probe_set,
        "records": records,
        "outcomes": b"".join(sorted(row.outcomes for row in rows[:most])),
    }
    upsert.replace(connection, schema.vote_sample, [kept])


def kept_votes(
    connection: sa.Connection,
    stream: StreamRow,
    since: int,
    until: int,
    lfs: int,
    *,
    left_out: Sequence[tuple[int, int]] = (),
) -> tuple[Outcomes, npt.NDArray[np.float64]]:
    """Return outcomes kept of the windows in [since, until): int8 [n, m], and weights [n].

    The weight is the number of records that a row stands for: busy windows count as much more as
    they have records. *left_out*: stretches [from, until) without which they are returned.
    """
    t = schema.vote_sample
    query = (
        sa.select(t.c.records, t.c.outcomes, t.c.window_start_ms)
        .where(
            t.c.stream_id == stream.id,
            t.c.probe_set == stream.probe_set,
            t.c.window_start_ms >= since,
            t.c.window_start_ms < until,
        )
        .order_by(t.c.window_start_ms)
    )
    outcomes, weights = [np.empty((0, lfs), dtype=np.int8)], [np.empty(0)]
    for records, encoded, start in connection.execute(query):
        if any(first <= start < end for first, end in left_out):
            continue
        part = np.frombuffer(encoded, dtype=np.int8).reshape(-1, lfs)
        outcomes.append(part)
        weights.append(np.full(len(part), records / len(part)))
    return np.concatenate(outcomes), np.concatenate(weights)


def drop_votes(connection: sa.Connection, stream: StreamRow) -> None:
    """Forget the votes: the label model is fitted."""
    t = schema.vote_sample
    connection.execute(sa.delete(t).where(t.c.stream_id == stream.id))
