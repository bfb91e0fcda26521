"""Which kept records of an alerting window become retraining candidates. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from tidegauge_alerts.model import Alert
from tidegauge_probes.counts.panes import BLIND, CONFLICTED, RECORDS, PaneCounts
from tidegauge_probes.findings import ALL, OTHER, SeriesKind
from tidegauge_probes.model import Layout
from tidegauge_service.store.candidates import Candidate, CandidateReason
from tidegauge_service.store.ingest.counted import Sample
from tidegauge_service.store.states import LF_PREFIX, CandidateState, SampleBucket, of_lf


class ProposalReason(StrEnum):
    """Why a record is worth a label."""

    BLIND_SPOT = "blind_spot"  # no LF knows it, and there are more of its kind now
    SHIFTED_LF = "shifted_lf"  # an LF that votes more or less often than at baseline voted on it
    CONFLICT = "conflict"  # LFs contradict each other on it
    SEGMENT = "segment"  # there are more records of its segment now
    UNIFORM = "uniform"  # drawn at random: only these support unbiased estimates


UNIFORM_SHARE = 1 / 3
"""Of a window's candidates this share is drawn from all records alike."""


@dataclass(frozen=True, slots=True)
class SampleRequest:
    """One reason to take records: from which bucket and segment, for which alert."""

    reason: ProposalReason
    bucket: str
    segment: str
    alert_id: str


_TOTALS = {
    SampleBucket.ALL: RECORDS,
    SampleBucket.BLIND_SPOT: BLIND,
    SampleBucket.CONFLICT: CONFLICTED,
}

_NO_LABELS = {SeriesKind.ERROR, SeriesKind.VOLUME}
"""Neither a broken LF nor another volume calls for labels."""

_OF_ANY = {SeriesKind.CLASS_SHARE, SeriesKind.COPIES}
"""No LF is off, so any record will do. Of copies, a look at some shows the text."""

_CONFLICTING = {
    SeriesKind.CONFLICT,
    SeriesKind.OVERLAP,
    SeriesKind.AGREEMENT,
    SeriesKind.CO_VOTE,
}


def wishes(firing: Sequence[Alert]) -> list[SampleRequest]:
    """Return what the firing alerts ask for, strongest first; each bucket and segment once."""
    found: dict[tuple[str, str], SampleRequest] = {}
    for alert in sorted(firing, key=lambda a: (-abs(np.log(a.effect or 1.0)), a.id)):
        wish = _wish(alert)
        if wish is not None:
            found.setdefault((wish.bucket, wish.segment), wish)
    return list(found.values())


def _wish(alert: Alert) -> SampleRequest | None:
    key = alert.key
    if key.series in _NO_LABELS:
        return None
    if key.series is SeriesKind.SEGMENT_SHARE:
        return _of_segment(alert)
    if key.series is SeriesKind.BLIND_SPOT:
        return SampleRequest(
            ProposalReason.BLIND_SPOT, SampleBucket.BLIND_SPOT, key.segment, alert.id
        )
    if key.series in _OF_ANY:
        return SampleRequest(ProposalReason.UNIFORM, SampleBucket.ALL, ALL, alert.id)
    if key.series in _CONFLICTING:
        return SampleRequest(ProposalReason.CONFLICT, SampleBucket.CONFLICT, key.segment, alert.id)
    return SampleRequest(ProposalReason.SHIFTED_LF, of_lf(key.probe), key.segment, alert.id)


def _of_segment(alert: Alert) -> SampleRequest:
    """Ask for records of a segment that has grown; of ``_other``, for those of its new value."""
    segment = alert.key.segment if alert.cause is None else alert.cause.segment
    if (alert.effect or 1.0) < 1 or segment.endswith(f"={OTHER}"):
        return SampleRequest(ProposalReason.UNIFORM, SampleBucket.ALL, ALL, alert.id)
    return SampleRequest(ProposalReason.SEGMENT, SampleBucket.ALL, segment, alert.id)


def choose(
    samples: Sequence[tuple[int, Sample]],
    counts: PaneCounts,
    layout: Layout,
    firing: Sequence[Alert],
    limit: int,
) -> dict[tuple[int, int], list[CandidateReason]]:
    """Return (partition, offset) → reasons for at most *limit* draws.

    *samples* come by priority, so that the first q of a bucket are a uniform sample of it,
    drawn with probability q / (records of the bucket).
    """
    asked = wishes(firing)
    if not asked:
        return {}
    special = [wish for wish in asked if wish.reason is not ProposalReason.UNIFORM]
    uniform = round(limit * UNIFORM_SHARE) if special else limit
    any_record = SampleRequest(ProposalReason.UNIFORM, SampleBucket.ALL, ALL, asked[0].alert_id)
    quotas = [(any_record, uniform)]
    quotas += [(wish, max((limit - uniform) // len(special), 1)) for wish in special]
    chosen: dict[tuple[int, int], list[CandidateReason]] = {}
    for wish, quota in quotas:
        size = _bucket_size(wish, counts, layout)
        drawn = [s for s in samples if wish.bucket in s[1].buckets and _inside(s[1], wish.segment)]
        drawn = drawn[:quota]
        if not drawn or not size:
            continue
        probability = min(1.0, len(drawn) / size)
        for partition, sample in drawn:
            reasons = chosen.setdefault((partition, sample.offset), [])
            if all(r.reason != wish.reason for r in reasons):
                reasons.append(CandidateReason(str(wish.reason), wish.alert_id, probability))
    return chosen


def _inside(sample: Sample, segment: str) -> bool:
    return segment == ALL or segment in sample.segments


def _bucket_size(wish: SampleRequest, counts: PaneCounts, layout: Layout) -> int:
    segment = counts.segments.get(wish.segment)
    if segment is None:
        return 0
    if wish.bucket.startswith(LF_PREFIX):
        return int(segment.votes[layout.probes.index(wish.bucket.removeprefix(LF_PREFIX))])
    return int(segment.totals[_TOTALS[SampleBucket(wish.bucket)]])


def candidates(
    stream: str,
    samples: Sequence[tuple[int, Sample]],
    chosen: Mapping[tuple[int, int], Sequence[CandidateReason]],
    layout: Layout,
    *,
    probe_set: str,
    baseline: str,
) -> list[Candidate]:
    """Return the chosen samples as candidates."""
    return [
        Candidate(
            id=_id(stream, partition, sample.offset),
            stream=stream,
            window_start_ms=sample.window_start_ms,
            partition=partition,
            offset=sample.offset,
            record_id=sample.record_id,
            timestamp_ms=sample.timestamp_ms,
            payload=json.loads(sample.payload),
            votes=_votes(sample, layout),
            segments=sample.segments,
            state=CandidateState.PROPOSED,
            probe_set=probe_set,
            baseline=baseline,
            reasons=tuple(chosen[(partition, sample.offset)]),
        )
        for partition, sample in samples
        if (partition, sample.offset) in chosen
    ]


def _id(stream: str, partition: int, offset: int) -> str:
    """Name a candidate by its position: the same record is the same candidate after a replay."""
    position = f"{stream}\0{partition}\0{offset}".encode()
    return hashlib.blake2b(position, digest_size=12).hexdigest()


def _votes(sample: Sample, layout: Layout) -> dict[str, str]:
    outcomes = np.frombuffer(sample.outcomes, dtype=np.int8)
    return {
        name: layout.classes[vote]
        for name, vote in zip(layout.probes, outcomes, strict=True)
        if vote >= 0
    }
