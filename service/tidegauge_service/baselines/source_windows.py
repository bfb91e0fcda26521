"""Fit a baseline from the files of a stream's source, before anything of them was counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tidegauge_probes import engine
from tidegauge_probes.counts.panes import PaneCounts
from tidegauge_probes.drift import baseline as baselines
from tidegauge_probes.drift.baseline import Baseline
from tidegauge_probes.errors import BaselineError
from tidegauge_probes.label_model import LabelModel, kinds
from tidegauge_probes.labeling.probe_set import ProbeSet
from tidegauge_probes.model import Record
from tidegauge_service.baselines.class_balance import Floats, class_balance
from tidegauge_service.baselines.training import BATCH, MOST_VOTES, VoteSample, count_by_window
from tidegauge_service.clock import to_iso, window_start
from tidegauge_service.config.sources import FileSource
from tidegauge_service.config.stream_file import BaselineRange, StreamConfig
from tidegauge_service.ingest.codec.codec import Codec
from tidegauge_service.ingest.sources.files.kinds import options_of
from tidegauge_service.ingest.sources.files.source import FileReader

FINE: Final = (3_600_000, 3 * 3_600_000, 6 * 3_600_000, 12 * 3_600_000, 86_400_000, 604_800_000)
"""Shorter windows that are counted, too, so that they can be compared with the stream's own."""

MOST_WINDOWS: Final = 800
"""Shorter windows that are counted at most: calibration takes time in proportion."""


@dataclass(frozen=True, eq=False)
class SourceBaseline:
    """The baseline of a range, and the same in the shortest windows that were counted."""

    baseline: Baseline
    finest: Baseline


def fit_source(
    config: StreamConfig, probe_set: ProbeSet, codec: Codec, advance: Callable[[int], None]
) -> SourceBaseline:
    """Run the LFs over the records of the stream's files and freeze what they did.

    Of a `baseline` with a range these are the records in it, else all of them. *advance* hears the
    number of inputs after each batch. BaselineError if there are none; SourceError if the files
    cannot be read.
    """
    chosen = config.baseline
    balance = chosen.balance if isinstance(chosen, BaselineRange) else None
    shares = class_balance(balance, probe_set.layout.classes)  # a wrong one is said first
    counted = _Counted(config, probe_set)
    for records in _batches(config, codec, advance):
        counted.add(records)
    return counted.frozen(shares)


class _Counted:
    """The counts of a range by its shortest windows, and a sample of votes."""

    def __init__(self, config: StreamConfig, probe_set: ProbeSet) -> None:
        chosen = config.baseline
        self._range = (chosen.from_, chosen.until) if isinstance(chosen, BaselineRange) else None
        self._config, self._probe_set = config, probe_set
        self._counting = config.model_copy(update={"window": _finest(config, self._range)})
        self._windows: dict[int, PaneCounts] = {}
        self._seen: tuple[int, int] | None = None
        self._kept = VoteSample(MOST_VOTES)

    def add(self, records: Sequence[Record]) -> None:
        """Run the LFs over those in the range, and count."""
        if not records:
            return
        times = [r.timestamp_ms for r in records] + list(self._seen or ())
        self._seen = (min(times), max(times))
        since, until = self._range or (self._seen[0], self._seen[1] + 1)
        inside = [record for record in records if since <= record.timestamp_ms < until]
        matrix = engine.run(self._probe_set, [record.fields for record in inside])
        self._kept.add(matrix.outcomes)
        found = count_by_window(self._counting, self._probe_set, inside, matrix, self._windows)
        for start, pane in found.items():
            _add(self._windows, start, pane)

    def frozen(self, shares: Floats | None) -> SourceBaseline:
        """Freeze what was counted, as the stream's windows and as the shortest ones.

        *shares*: of the classes, [k], if somebody knows them. BaselineError if there is nothing.
        """
        if not self._windows:
            raise BaselineError(_empty(self._config, self._range, self._seen))
        k, aside = self._probe_set.cardinality, self._probe_set.deployed
        model = kinds.fit_if_identified(self._kept.drawn(), k, aside=aside, balance=shares)
        whole: dict[int, PaneCounts] = {}
        for start, pane in sorted(self._windows.items()):
            _add(whole, window_start(start, self._config.window), pane)
        baseline = self._fit(whole, self._config.window, model)
        if self._counting.window == self._config.window:
            return SourceBaseline(baseline, baseline)
        return SourceBaseline(baseline, self._fit(self._windows, self._counting.window, model))

    def _fit(
        self, windows: Mapping[int, PaneCounts], window_ms: int, model: LabelModel | None
    ) -> Baseline:
        probe_set, config = self._probe_set, self._config
        return baselines.fit(
            {start: pane.settled() for start, pane in windows.items()},
            layout=probe_set.layout,
            probe_set=probe_set.id,
            window_ms=window_ms,
            source={"stream": config.name},
            slices=[probe.name for probe in probe_set.slices],
            model=model,
            civil=config.civil,
        )


def _batches(
    config: StreamConfig, codec: Codec, advance: Callable[[int], None]
) -> Iterator[list[Record]]:
    source = config.source
    if not isinstance(source, FileSource):
        msg = f"a {source.kind} source cannot be read without taking part in it"
        raise BaselineError(msg)
    reader = FileReader(source.path, Path(config.folder), options_of(config))
    try:
        for inputs in reader.batches(BATCH):
            decoded = (codec.decode(raw) for raw in inputs)
            yield [one for one in decoded if isinstance(one, Record)]
            advance(len(inputs))
    finally:
        reader.close()


def _finest(config: StreamConfig, since_until: tuple[int, int] | None) -> int:
    """Return the shortest windows to count: parts of the stream's own, and not too many."""
    if since_until is None:
        return config.window
    span = since_until[1] - since_until[0]
    return next(
        (
            ms
            for ms in FINE
            if ms < config.window and not config.window % ms and span // ms <= MOST_WINDOWS
        ),
        config.window,
    )


def _add(windows: dict[int, PaneCounts], start: int, pane: PaneCounts) -> None:
    windows[start] = windows[start] + pane if start in windows else pane


def _empty(
    config: StreamConfig, since_until: tuple[int, int] | None, seen: tuple[int, int] | None
) -> str:
    """Say that there are no records to learn from, and where there are some."""
    if since_until is None or seen is None:
        return (
            f"no record of the source of stream '{config.name}' can be read: `tidegauge probes "
            f"check {config.file}` says why"
        )
    since, until, first, last = (to_iso(ms) for ms in (*since_until, *seen))
    return (
        f"the baseline is empty: no records of stream '{config.name}' fall within {since} to "
        f"{until}; they lie from {first} to {last}. Choose another range in {config.file}"
    )
