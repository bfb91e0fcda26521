"""A body of every event, with names as given: hostile ones, too."""

from collections.abc import Iterator
from typing import Any

from tests.alerts.builders import NOON_MS, context, fired, shifted
from tidegauge_alerts import Rule, Status, messages_of
from tidegauge_alerts.messages import notices
from tidegauge_probes.findings import BlindCause, Blindness, SeriesKey, SeriesKind, Skew

URL = "https://x.example"


def bodies(stream: str, key: SeriesKey) -> Iterator[Any]:
    """Yield a body of each event; *stream* and the parts of *key* appear in all their texts."""
    probe = key.probe
    since: dict[str, Any] = {"since_ms": NOON_MS, "url": URL}
    lineage = {"probe_set": "p", "baseline": "b", "url": URL}
    (message,) = messages_of(fired(shifted(key=key)), Rule(), context(stream=stream), 3, URL)
    yield message.body
    yield {**message.body, "event": "settled"}
    yield {**message.body, "status": "resolved"}
    blind = [Blindness(BlindCause.LF_FAILS, 0.9, probe=probe, fault=probe, message=probe)]
    skew = [Skew(SeriesKey(SeriesKind.COVERAGE, key.segment, probe), 0.05, 0.01, 0.2, 1e-6)] * 60
    for made in (
        notices.quarantined(stream, probe, probe, probe_set="p", strikes=1, url=URL),
        notices.released(stream, probe, probe_set="p", strikes=1, url=URL),
        notices.data_gap(Status.FIRING, stream, 0, probe, key="k", lost=3, url=URL),
        notices.watermark_stale(stream, 0, probe, watermark=None, **since),
        notices.watermark_moves(stream, **since),
        notices.mostly_late(stream, 3, 4, closed=None, advice="Sort it", **since),
        notices.punctual(stream, **since),
        notices.assumed_normal(Status.FIRING, stream, probe, **lineage),
        notices.blind(stream, blind, **since),
        notices.sees_again(stream, **since),
        notices.skewed(Status.FIRING, stream, skew, training="t", **lineage),
    ):
        yield made.body
