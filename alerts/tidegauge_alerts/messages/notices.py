"""Messages about tidegauge's own work, not about a window: what stops it from seeing. Pure.

They have the keys of every message (``messages``), so that receivers need no second format;
``window`` is null and ``alerts`` empty, for no series of a window is compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from tidegauge_alerts.lifecycle.identity import digest
from tidegauge_alerts.messages import phrases
from tidegauge_alerts.messages.model import VERSION, Message, NoticeEvent, Status
from tidegauge_alerts.messages.phrases import clean
from tidegauge_probes.findings import Blindness, Skew

_LATE: Final = (
    "Load history before its windows close: `tidegauge backfill` reads it from files. After a "
    "producer outage, raise source.silence_grace. If clocks go back, raise lateness"
)

_LATE_IN_FILES: Final = (
    "The windows of these records are already closed. To count a file again, use a new stream name "
    "or a new database. If its records are not in order, sort files by time, or raise lateness"
)

GAP_ADVICE: Final = (
    "list it with `tidegauge streams gaps`, and accept it with `tidegauge streams accept-gap`"
)

MAX_REASON: Final = 300

MAX_BLIND: Final = 1_000

MOST_SKEWED: Final = 50


def quarantined(
    stream: str, probe: str, reason: str, *, probe_set: str, strikes: int, url: str = ""
) -> Message:
    """Return the message that an LF is not called any more, and what to do about it."""
    headline = (
        f"LF '{clean(probe)}' is quarantined: {clean(reason, MAX_REASON)}. It is no longer "
        "called and counts as failed on every record; all other LFs keep running. What to do: fix "
        f"and deploy it, or run `tidegauge probes release {clean(stream)} {clean(probe)}`"
    )
    return _of_probe(Status.FIRING, stream, probe, headline, probe_set, strikes, url)


def released(stream: str, probe: str, *, probe_set: str, strikes: int, url: str = "") -> Message:
    """Return the message that a quarantined LF is called again."""
    headline = f"LF '{clean(probe)}' was released from quarantine and is called again"
    return _of_probe(Status.RESOLVED, stream, probe, headline, probe_set, strikes, url)


def data_gap(
    status: Status, stream: str, partition: int, what: str, *, key: str, lost: int, url: str = ""
) -> Message:
    """Return the message that a partition could not be read on where it stood, or is again.

    *what*: the gap in words, and what to do. *key*: the same for the same gap.
    """
    headline = f"Partition {partition}: {clean(what, MAX_REASON)}"
    if status is Status.RESOLVED:
        headline = f"Data gap closed; reading continues. {headline}"
    told = {"partition": partition, "lost": lost}
    return _message(NoticeEvent.DATA_GAP, status, stream, headline, key=(key,), url=url, told=told)


def watermark_stale(
    stream: str, partition: int, what: str, *, watermark: str | None, since_ms: int, url: str = ""
) -> Message:
    """Return the message that no window closes any more, for a partition stands still."""
    headline = f"The watermark is stalled at partition {partition}: {clean(what, MAX_REASON)}"
    told = {"partition": partition, "watermark": watermark}
    key = (str(since_ms),)
    return _message(
        NoticeEvent.WATERMARK_STALE, Status.FIRING, stream, headline, key=key, url=url, told=told
    )


def watermark_moves(stream: str, *, since_ms: int, url: str = "") -> Message:
    """Return the message that the watermark of ``watermark_stale`` goes on."""
    headline = "The watermark is moving again, and windows close"
    key = (str(since_ms),)
    return _message(
        NoticeEvent.WATERMARK_STALE, Status.RESOLVED, stream, headline, key=key, url=url, told={}
    )


def mostly_late(
    stream: str,
    late: int,
    records: int,
    *,
    closed: str | None,
    advice: str,
    since_ms: int,
    url: str = "",
) -> Message:
    """Return the message that most records come too late; *closed*: through when windows are.

    *advice*: what to do, of ``late_advice``.
    """
    until = f" (closed through {closed})" if closed else ""
    headline = (
        f"{late:,} of the last {records:,} records were too late to be counted{until}. "
        f"What to do: {advice[0].lower()}{advice[1:]}"
    )
    told = {"late": late, "records": records}
    key = (str(since_ms),)
    return _message(
        NoticeEvent.LATE_RECORDS, Status.FIRING, stream, headline, key=key, url=url, told=told
    )


def late_advice(source: str) -> str:
    """Return what to do about late records from a source of this kind (``file``, ``kafka`` …).

    Files have no history to load and no producers to wait for.
    """
    return _LATE_IN_FILES if source == "file" else _LATE


def punctual(stream: str, *, since_ms: int, url: str = "") -> Message:
    """Return the message that records come in time again after ``mostly_late``."""
    headline = "Records arrive in time again"
    key = (str(since_ms),)
    return _message(
        NoticeEvent.LATE_RECORDS, Status.RESOLVED, stream, headline, key=key, url=url, told={}
    )


def assumed_normal(
    status: Status, stream: str, what: str, *, probe_set: str, baseline: str, url: str = ""
) -> Message:
    """Return the message that learning ended with an assumption; *what* says which."""
    name = clean(stream)
    headline = (
        f"Learning has ended: {clean(what, MAX_REASON)}. Those alerts will resolve. What to do: if "
        f"that traffic is not normal, name windows that are: `tidegauge baseline accept "
        f"{name} --from TIME --until TIME`"
    )
    told = {"lineage": {"probe_set": probe_set, "baseline": baseline}}
    return _message(
        NoticeEvent.ASSUMED_NORMAL, status, stream, headline, key=(baseline,), url=url, told=told
    )


def blind(stream: str, found: Sequence[Blindness], *, since_ms: int, url: str = "") -> Message:
    """Return the message that a stream cannot see what it should watch, and why."""
    said = phrases.blind(found)
    headline = f"The stream is blind, so drift goes undetected: {'; '.join(said)[:MAX_BLIND]}"
    told = {
        "blind": [
            {"cause": str(one.cause), "probe": clean(one.probe), "share": one.share}
            for one in found[:MOST_SKEWED]
        ]
    }
    key = (str(since_ms),)
    return _message(
        NoticeEvent.STREAM_BLIND, Status.FIRING, stream, headline, key=key, url=url, told=told
    )


def sees_again(stream: str, *, since_ms: int, url: str = "") -> Message:
    """Return the message that the stream of ``blind`` sees again."""
    key, headline = (str(since_ms),), "The stream can see its traffic again"
    told: dict[str, Any] = {"blind": []}
    return _message(
        NoticeEvent.STREAM_BLIND, Status.RESOLVED, stream, headline, key=key, url=url, told=told
    )


def skewed(
    status: Status,
    stream: str,
    found: Sequence[Skew],
    *,
    probe_set: str,
    baseline: str,
    training: str,
    url: str = "",
) -> Message:
    """Return the message that training data and live traffic differ.

    *baseline*: id of that of the live windows; *training*: of that of the training data.
    """
    first, *more = found
    others = f", and {len(more)} more series" if more else ""
    headline = (
        f"The training data never matched the live traffic: {phrases.skewed(first)}{others}. "
        "This is not drift; from now on, changes are measured against the live traffic. What to "
        "do: check that the model was trained on the kind of data it receives"
    )
    told = {
        "skew": [
            {
                **phrases.names(one.key),
                "trained": one.trained,
                "live": one.live,
                "effect": one.effect,
                "p_value": one.p_value,
                "text": phrases.skewed(one),
            }
            for one in found[:MOST_SKEWED]
        ],
        "truncated": max(len(found) - MOST_SKEWED, 0),
        "lineage": {"probe_set": probe_set, "baseline": baseline, "training": training},
    }
    key = (baseline, training)
    return _message(
        NoticeEvent.TRAINING_SKEW, status, stream, headline, key=key, url=url, told=told
    )


def _of_probe(  # noqa: PLR0917
    status: Status,
    stream: str,
    probe: str,
    headline: str,
    probe_set: str,
    strikes: int,
    url: str,
) -> Message:
    told = {"probe": clean(probe), "lineage": {"probe_set": probe_set}}
    key = (probe_set, probe)
    return _message(
        NoticeEvent.PROBE_BROKEN,
        status,
        stream,
        headline,
        key=key,
        again=str(strikes),
        url=url,
        told=told,
    )


def _message(
    event: str,
    status: Status,
    stream: str,
    headline: str,
    *,
    key: tuple[str, ...],
    again: str = "",
    url: str,
    told: dict[str, Any],
) -> Message:
    """Return a message of the incident *key*; *again* tells its repetitions apart."""
    name = digest(event, stream, *key)
    body = body_without_alerts(event, status, stream, name, headline, url)
    return Message(f"{digest(name, again)}-{status}", {**body, **told})


def body_without_alerts(  # noqa: PLR0917
    event: str, status: Status, stream: str, incident: str, headline: str, url: str
) -> dict[str, Any]:
    """Return the body of a message that is about no window and no alert."""
    return {
        "version": VERSION,
        "event": str(event),
        "status": str(status),
        "group_key": f"{clean(stream)}:{incident}",
        "stream": clean(stream),
        "incident": incident,
        "headline": headline,
        "window": None,
        "alerts": [],
        "truncated": 0,
        "candidates": 0,
        "links": {"page": f"{url.rstrip('/')}/"} if url else {},
        "lineage": {},
    }
