"""What a scrape shows of one metric."""

from __future__ import annotations

from tests.service.transactions import read
from tidegauge_service.metrics.exposition import samples
from tidegauge_service.metrics.snapshot import take_snapshot
from tidegauge_service.store.engine import Database


def shown(database: Database, metric: str, now_ms: int = 0) -> dict[tuple[str, ...], float]:
    """Return the values of a metric by their labels, the stream's apart; there is one stream."""
    found = list(samples(read(database, take_snapshot, now_ms)))
    assert len({sample.labels[0] for sample in found}) == 1
    return {s.labels[1:]: s.value for s in found if s.metric == f"tidegauge_{metric}"}
