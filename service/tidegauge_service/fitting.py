"""Fit a baseline from training data: records in a file, or a vote matrix."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from tidegauge_probes import baseline as baselines
from tidegauge_probes import counts, engine
from tidegauge_probes.baseline import Baseline
from tidegauge_probes.counts import PaneCounts
from tidegauge_probes.errors import BaselineError
from tidegauge_probes.model import ABSTAIN, Record, VoteMatrix
from tidegauge_probes.probe_set import ProbeSet
from tidegauge_service.clock import Clock, window_start
from tidegauge_service.ingest.codec import Codec
from tidegauge_service.ingest.file_source import FileSource
from tidegauge_service.ingest.segments import capped, memberships
from tidegauge_service.stream_config import StreamConfig

BATCH = 5_000
UNTIMED = -1
"""Key of the counts of records without a time: counted, not calibrated on."""

Advance = Callable[[int], None]


def fit_records(
    config: StreamConfig, probe_set: ProbeSet, path: Path, clock: Clock, advance: Advance
) -> Baseline:
    """Run the LFs over training records (JSONL, CSV, Parquet) and freeze what they did.

    *advance* hears the number of records after each batch. Records that are no records are
    counted in the baseline's source; BaselineError if nothing is left.
    """
    source = FileSource(str(path), Path())
    codec = Codec(config.record, config.limits, clock)
    windows: dict[int, PaneCounts] = {}
    rejected = 0
    source.poll(0, 0)  # the announcement of its partitions
    while inputs := source.poll(BATCH, 0).inputs:
        decoded = [codec.decode(raw) for raw in inputs]
        records = [item for item in decoded if isinstance(item, Record)]
        rejected += len(decoded) - len(records)
        for start, pane in count_by_window(config, probe_set, records, windows).items():
            windows[start] = windows[start] + pane if start in windows else pane
        advance(len(inputs))
    facts = {"path": path.name, "rejected": rejected, "window_ms": config.window}
    return _freeze(config, probe_set, windows, facts)


def count_by_window(
    config: StreamConfig,
    probe_set: ProbeSet,
    records: list[Record],
    running: Mapping[int, PaneCounts],
) -> dict[int, PaneCounts]:
    """Return the counts of a batch by window: window start in ms → counts.

    *running* are the counts before it, whose segments stay as they are (``capped``).
    """
    slices = [probe.name for probe in probe_set.slices]
    by_window: dict[int, list[Record]] = {}
    for record in records:
        start = window_start(record.timestamp_ms, config.window)
        by_window.setdefault(start, []).append(record)
    found = {}
    for start, group in by_window.items():
        fields = [record.fields for record in group]
        matrix = engine.run(probe_set, fields)
        segments = memberships(fields, config.segment_by, matrix, slices)
        known = running[start].segments if start in running else ()
        kept = capped(segments, known, slices, config.limits.max_segments)
        found[start] = counts.fold(matrix, probe_set.cardinality, kept)
    return found


def fit_votes(config: StreamConfig, probe_set: ProbeSet, path: Path) -> Baseline:
    """Freeze a vote matrix (.npy, or the first array of a .npz), e.g. Snorkel's L_train.

    int [n, m], −1 for abstain, columns in the ProbeSet's order. BaselineError otherwise.
    """
    votes = _read_votes(path)
    m, k = len(probe_set.probes), probe_set.cardinality
    if votes.ndim != 2 or votes.shape[1] != m:  # noqa: PLR2004
        msg = (
            f"{path} has shape {votes.shape}, not (records, {m}): one column per LF of the ProbeSet"
        )
        raise BaselineError(msg)
    if not np.issubdtype(votes.dtype, np.integer):
        msg = f"{path} holds {votes.dtype}, not integers: save L as it came from the applier"
        raise BaselineError(msg)
    if votes.size and (votes.min() < ABSTAIN or votes.max() >= k):
        msg = f"{path} has votes {votes.min()}…{votes.max()}; the ProbeSet has classes 0…{k - 1}"
        raise BaselineError(msg)
    outcomes = votes.astype(np.int8)
    matrix = VoteMatrix(outcomes, np.zeros((len(votes), 0), np.bool_), np.zeros(m))
    return _freeze(config, probe_set, {UNTIMED: counts.fold(matrix, k, {})}, {"votes": path.name})


def _read_votes(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
    try:
        with path.open("rb") as file:  # ours: of a broken archive, np.load leaves its own open
            loaded = np.load(file, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                return loaded
            if not loaded.files:
                msg = f"{path} holds no array"
                raise BaselineError(msg)
            return np.asarray(loaded[loaded.files[0]])
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        msg = f"cannot read the vote matrix {path}: {error}"
        raise BaselineError(msg) from error


def _freeze(
    config: StreamConfig,
    probe_set: ProbeSet,
    windows: dict[int, PaneCounts],
    facts: dict[str, object],
) -> Baseline:
    return baselines.fit(
        windows,
        layout=probe_set.layout,
        probe_set=probe_set.id,
        window_ms=config.window,
        source=facts,
        slices=[probe.name for probe in probe_set.slices],
    )
