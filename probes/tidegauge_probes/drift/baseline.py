"""The baseline: what the LFs did on training data, or on quiet traffic, frozen.

It holds the raw counts of its windows, whose hash is its id, and what calibration learned from them
(``calibration``), so that nothing has to be learned again.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from tidegauge_probes.counts import panes as counts_
from tidegauge_probes.counts.panes import MAX_PAIRED, DistinctCounts, PaneCounts
from tidegauge_probes.drift import baseline_parts as stored
from tidegauge_probes.drift import budget, clock_change
from tidegauge_probes.drift.calibration import archive
from tidegauge_probes.drift.calibration.fit import (
    calibrate,
    calibrate_with,
    forecast_with,
    uncalibrated,
)
from tidegauge_probes.drift.calibration.fit import forecast as forecast_of
from tidegauge_probes.drift.calibration.forecast import Forecast
from tidegauge_probes.drift.calibration.model import Calibration
from tidegauge_probes.drift.calibration.volume import VolumeWindows
from tidegauge_probes.drift.calibration.windows import CalibrationWindows, Stretches, smoothed
from tidegauge_probes.drift.civil_time import (
    UTC,
    UTC_TIME,
    CivilTime,
    ClockChange,
    check_calendar,
    check_zone,
)
from tidegauge_probes.drift.season import DAY_MS, MIN_PERIODS
from tidegauge_probes.drift.series.distinct import Mask, TextSeries, by_text
from tidegauge_probes.drift.series.margins import Margins
from tidegauge_probes.drift.series.record_series import VOLUME
from tidegauge_probes.drift.series.series_plan import SeriesPlan, plan
from tidegauge_probes.errors import BaselineError
from tidegauge_probes.findings import VOLUME_OF, SeriesKey
from tidegauge_probes.label_model.accuracy import Gold
from tidegauge_probes.label_model.consensus import Consensus
from tidegauge_probes.label_model.model import LabelModel
from tidegauge_probes.label_model.parts import arrays, facts
from tidegauge_probes.model import Layout

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

LEARNING_WINDOWS: Final = 48
"""With fewer calibration windows, a baseline is still learning what is normal."""

_VERSION: Final = 4
"""Of baselines before 4 co-votes are of all records, not of the votes of the rarer LF."""


def _no_windows() -> Ints:
    return np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Baseline:
    """A frozen reference. ``id`` is the hash of its content, without what was learned from it.

    ``total``: counts of all its records. ``starts``: int64 [W], its windows (none when it was
    fitted from a vote matrix). ``x``, ``n``: int64 [W, S], the series of each window.
    ``source`` says where it came from, for auditors. ``model``: None if its LFs are too few, or if
    no votes were kept to fit it from. ``gold``: None without gold labels. ``civil``: the clock and
    the calendar by which its windows are read. ``learned``: its calibration and its forecast, if
    they come from an archive; otherwise they are computed on first use. ``silent``: int64 [Z],
    starts of the windows without records between those of ``starts``: they are zeros of the
    volume, and nothing of any other series. Empty if the volume is not followed. ``keep``:
    stretches that people have declared normal, [from, until) in epoch ms. ``texts``: the same
    series of distinct texts; None if those of a window are not known.
    """

    probe_set: str
    plan: SeriesPlan
    total: PaneCounts
    window_ms: int
    starts: Ints
    x: Ints
    n: Ints
    source: Mapping[str, Any]
    model: LabelModel | None = None
    gold: Gold | None = None
    civil: CivilTime = UTC_TIME
    learned: tuple[Calibration, Forecast] | None = None
    silent: Ints = field(default_factory=_no_windows)
    keep: Stretches = ()
    texts: TextSeries | None = None

    @cached_property
    def id(self) -> str:
        """Content hash, 16 hex digits."""
        return hashlib.sha256(stored.packed(self._content())).hexdigest()[:16]

    @cached_property
    def keys(self) -> tuple[SeriesKey, ...]:
        return self.plan.keys()

    @cached_property
    def volumes(self) -> Mapping[SeriesKey, int]:
        """Records (or votes) behind each series, or the texts where those are compared."""
        _, n = self.totals
        return dict(zip(self.keys, n.tolist(), strict=True))

    @property
    def learning(self) -> bool:
        """Whether it has too few windows to know how much variation is normal."""
        windows = len(self.starts)
        span = int(self.starts[-1] - self.starts[0]) + self.window_ms if windows else 0
        return is_learning(windows, span, self.window_ms)

    @cached_property
    def calibration(self) -> Calibration:
        """What a comparison needs to know about each series."""
        return replace(self._calibration, margins=Margins.of(self.keys))

    @property
    def _calibration(self) -> Calibration:
        if self.learned is not None:
            return self.learned[0]
        if self.learning:
            return uncalibrated(*self.totals, len(self.starts))
        volume = self._volume_windows
        return calibrate(self._windows) if volume is None else calibrate_with(volume, self._windows)

    @cached_property
    def forecast(self) -> Forecast:
        """The false incidents to expect, estimated from its own windows."""
        if self.learned is not None:
            return self.learned[1]
        volume, known = self._volume_windows, self.calibration
        if volume is None:
            return forecast_of(self._windows, known, self.weights)
        return forecast_with(volume, self._windows, known, self.weights)

    @property
    def totals(self) -> tuple[Ints, Ints]:
        """Return x and n of each series over all records, int64 [S] each.

        The volume is that of all windows that are known whole.
        """
        x, n = self.tested(self.total, whole=False)
        place = self._volume_place
        if place is not None:
            x[place], n[place] = (int(part[:, place].sum()) for part in (self.x, self.n))
            n[place] += VOLUME_OF * len(self.silent)
        return x, n

    def without_volume(self) -> Baseline:
        """Return the same without its volume."""
        place = self._volume_place
        if place is None:
            return self
        chosen = replace(self.plan, volume=False)
        rest = np.delete(np.arange(len(self.keys)), place)
        return replace(self.select(chosen, rest), silent=_no_windows())

    def select(self, chosen: SeriesPlan, series: Ints) -> Baseline:
        """Return the same with some of its series: *chosen* plans them, *series* are their columns.

        It learns anew from what is left.
        """
        texts = self.texts and self.texts.select(series)
        x, n = self.x[:, series], self.n[:, series]
        return replace(self, plan=chosen, x=x, n=n, texts=texts, learned=None)

    @property
    def _volume_place(self) -> int | None:
        return self.keys.index(VOLUME) if self.plan.volume else None

    @property
    def wandering(self) -> tuple[SeriesKey, ...]:
        """The series without a level to return to: only gross shifts of them are reported."""
        marked = self.calibration.wanders.tolist()
        return tuple(key for key, wanders in zip(self.keys, marked, strict=True) if wanders)

    @property
    def _windows(self) -> CalibrationWindows:
        """The windows of all series but the volume."""
        place = self._volume_place
        x, n = self.x, self.n
        if self.texts is not None:
            x, n = (np.where(self.by_text, *of) for of in ((self.texts.x, x), (self.texts.n, n)))
        if place is not None:
            x, n = (np.delete(part, place, axis=1) for part in (x, n))
        return CalibrationWindows.of(self.starts, x, n, self.window_ms, self.civil, keep=self.keep)

    @property
    def _volume_windows(self) -> VolumeWindows | None:
        """The windows of the volume, those without records among them; None without a volume."""
        place = self._volume_place
        if place is None:
            return None
        starts = np.concatenate([self.starts, self.silent])
        nothing = np.zeros(len(self.silent), dtype=np.int64)
        x = np.concatenate([self.x[:, place], nothing])
        n = np.concatenate([self.n[:, place], nothing + VOLUME_OF])
        order = np.argsort(starts)
        of_time = starts[order], x[order, None], n[order, None]
        windows = CalibrationWindows.of(*of_time, self.window_ms, self.civil, keep=self.keep)
        return VolumeWindows(windows, place)

    @cached_property
    def by_text(self) -> Mask:
        """Which series are compared by distinct texts, bool [S]."""
        if self.texts is None or self.total.distinct is None:
            return np.zeros(len(self.keys), dtype=np.bool_)
        return by_text(self.keys, self.x, self.n, self.texts, self.total.distinct)

    def tested(self, counts: PaneCounts, *, whole: bool = True) -> tuple[Ints, Ints]:
        """Return x and n of each series as they are compared, int64 [S] each."""
        x, n = self.plan.extract(counts, whole=whole)
        distinct = counts.distinct
        if distinct is None or not self.by_text.any() or not (distinct.level or distinct.copies):
            return x, n
        of_texts = self.plan.extract(distinct.counts)
        by_text = self.by_text
        return np.where(by_text, of_texts[0], x), np.where(by_text, of_texts[1], n)

    @cached_property
    def off_texts(self) -> Floats:
        """How far the share of records is off that of texts in it, in log odds, float64 [S].

        An LF of a slogan that comes three times an hour votes on more records than texts: shares of
        texts are shown moved by that, because what people see are records.
        """
        seen, compared = (
            smoothed(x.astype(np.float64), n.astype(np.float64))
            for x, n in (
                self.plan.extract(self.total, whole=False),
                self.tested(self.total, whole=False),
            )
        )
        return np.asarray(np.log(seen / (1 - seen)) - np.log(compared / (1 - compared)))

    @cached_property
    def of_records(self) -> Baseline:
        """The same, for windows whose distinct texts are not known: records are compared."""
        return self if self.texts is None else replace(self, texts=None, learned=None)

    @cached_property
    def weights(self) -> Floats:
        """Weight of each series in the budget, float64 [S], mean 1."""
        return budget.weights(self.keys)

    def in_time(self, civil: CivilTime) -> Baseline:
        """Return the same windows read by another clock or calendar, with the cycles fitted again.

        Without windows there is nothing to read by a clock, and the baseline stays as it is.
        """
        if civil == self.civil or not len(self.starts):
            return self
        return replace(self, civil=civil, learned=None)

    def with_model(self, model: LabelModel) -> Baseline:
        """Return the same baseline with another label model.

        A baseline keeps the series of its windows, not their counts, so what the new model says
        about them is unknown: if it has windows, no series of the model is compared.
        BaselineError if co-votes were not counted (``counts.MAX_PAIRED``).
        """
        if not self.total.gram.size:
            msg = (
                f"{len(self.plan.layout.probes)} LFs × {len(self.plan.layout.classes)} classes are "
                f"more than {MAX_PAIRED:,}: too many for a label model"
            )
            raise BaselineError(msg)
        consensus = None if len(self.starts) else Consensus.of(model, self.total)
        chosen = replace(self.plan, consensus=consensus)
        width = len(chosen.keys())
        nothing = np.zeros((0, width), dtype=np.int64)
        x, n = (part[:, :width] if len(self.starts) else nothing for part in (self.x, self.n))
        texts = self.texts and self.texts.select(np.arange(width))
        return replace(self, plan=chosen, model=model, x=x, n=n, learned=None, texts=texts)

    @property
    def clock_change(self) -> ClockChange | None:
        """The clock change that its daily cycle follows, if its windows are read in UTC."""
        if self.civil.zone != UTC:
            return None
        return clock_change.find(self.starts, self.x, self.n, self.window_ms)

    def encode(self) -> bytes:
        """Return the stored form, a zip of JSON headers and arrays; equal content, equal bytes."""
        content = self._content()
        if self.calibration.tails is not None:
            header, arrays = archive.encode(self.calibration, self.calibration.tails, self.forecast)
            content |= {archive.HEADER: header}
            content |= {name: stored.npy(array) for name, array in arrays.items()}
        return stored.packed(content)

    def _content(self) -> dict[str, bytes]:
        header = {
            "version": _VERSION,
            "probe_set": self.probe_set,
            "window_ms": self.window_ms,
            "layout": [self.plan.layout.probes, self.plan.layout.classes, self.plan.layout.labels],
            "segments": self.plan.segments,
            "pairs": self.plan.pairs,
            "agreements": self.plan.agreements,
            "source": dict(self.source),
        }
        # In UTC and without a calendar, bytes and id must stay the same as before these existed.
        if self.civil.zone != UTC_TIME.zone:
            header["timezone"] = self.civil.zone
        if self.civil.calendar:
            header["calendar"] = self.civil.calendar
        if self.plan.volume:
            header["volume"] = True
        if self.keep:
            header["keep"] = self.keep
        parts = {}
        if self.model is not None:
            header |= {"model": facts(self.model)}
            header |= {"consensus": self.plan.consensus is not None}
            parts = {
                stored.MODEL + name: stored.npy(array) for name, array in arrays(self.model).items()
            }
        if self.gold is not None:
            header |= {"gold_model": self.gold.model}
            parts |= {f"gold.{name}": stored.npy(getattr(self.gold, name)) for name in stored.GOLD}
        distinct = self.total.distinct
        if self.texts is not None and distinct is not None:
            header["distinct"] = [distinct.records, distinct.texts, distinct.level]
            parts |= {"x_texts": stored.npy(self.texts.x), "n_texts": stored.npy(self.texts.n)}
            parts |= {stored.DISTINCT: distinct.counts.encode()}
        if self.plan.volume:
            parts["silent"] = stored.npy(self.silent)
        return {
            "header.json": msgspec.json.encode(header, order="sorted"),
            "total.counts": self.total.encode(),
            **{name: stored.npy(getattr(self, name)) for name in ("starts", "x", "n")},
            **parts,
        }


def is_learning(windows: int, span_ms: int, window_ms: int) -> bool:
    """Tell whether this many windows with records, over such a span, are too few to learn from."""
    days = window_ms >= DAY_MS or span_ms >= MIN_PERIODS * DAY_MS
    return windows < LEARNING_WINDOWS or not days


def decode(encoded: bytes) -> Baseline:
    """Read what ``encode`` wrote; BaselineError for anything else."""
    try:
        with zipfile.ZipFile(io.BytesIO(encoded)) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
        header = msgspec.json.decode(parts["header.json"], type=stored.BaselineHeader)
        total = stored.total_of(parts, header)
        starts, x, n = (stored.array_of(parts[name]) for name in ("starts", "x", "n"))
        silent = stored.array_of(parts["silent"]) if header.volume else _no_windows()
        model = stored.model_of(parts, header, total)
        consensus = Consensus.of(model, total) if header.consensus else None
        known = header.distinct is not None
        pairs = (header.pairs, consensus, header.agreements)
        chosen = SeriesPlan(
            Layout(*header.layout), header.segments, *pairs, volume=header.volume, copies=known
        )
        texts = (
            TextSeries(stored.array_of(parts["x_texts"]), stored.array_of(parts["n_texts"]))
            if known
            else None
        )
        series = (x, n) if texts is None else (x, n, texts.x, texts.n)
        stored.refuse_misfit(chosen, total, starts, series)
        gold = stored.gold_of(parts, header, total)
        civil = CivilTime(check_zone(header.timezone), check_calendar(header.calendar))
        learned = _decode_calibration(parts, len(chosen.keys()), civil, header.window_ms)
    except Exception as error:  # zipfile and zlib alone raise seven different types
        msg = f"the baseline cannot be read ({error}): fit it again"
        raise BaselineError(msg) from error
    if header.version != _VERSION:
        msg = f"the baseline has version {header.version}, not {_VERSION}: fit it again"
        raise BaselineError(msg)
    return Baseline(
        header.probe_set,
        chosen,
        total,
        header.window_ms,
        starts,
        x,
        n,
        header.source,
        model,
        gold,
        civil,
        learned,
        silent,
        header.keep,
        texts,
    )


def _decode_calibration(
    parts: Mapping[str, bytes], series: int, civil: CivilTime, window_ms: int
) -> tuple[Calibration, Forecast] | None:
    if archive.HEADER not in parts:
        return None
    names = [name for name in parts if name.startswith("calibration.") and name != archive.HEADER]
    found = {name: stored.array_of(parts[name]) for name in names}
    return archive.decode(parts[archive.HEADER], found, series, civil, window_ms)


def fit(
    windows: Mapping[int, PaneCounts],
    *,
    layout: Layout,
    probe_set: str,
    window_ms: int,
    source: Mapping[str, Any],
    slices: Sequence[str] = (),
    model: LabelModel | None = None,
    gold: Gold | None = None,
    civil: CivilTime = UTC_TIME,
    silent: Collection[int] | None = None,
    keep: Stretches = (),
) -> Baseline:
    """Freeze a baseline from the counts of its windows (start in ms → counts).

    A vote matrix without times is one "window" at the key ``-1``: counted, but not calibrated on.
    *model* was fitted from the same records, or a sample of them: counts alone do not identify the
    class shares (two moments, one unknown too many). *gold*: the records whose label is known.
    *civil*: the clock and the calendar of the traffic. *silent*: starts of the windows without
    records, if these are windows of a stream: its volume is followed then. None for training data,
    which are a sample: how many there are says nothing about the traffic. *keep*: stretches that
    are no incidents.
    """
    total = counts_.empty(len(layout.probes), len(layout.classes))
    for pane in windows.values():
        total += pane
    if not total.records:
        msg = "the baseline is empty: no records fall within it. Check its range, path and fields"
        raise BaselineError(msg)
    timed = sorted(start for start in windows if start >= 0 and windows[start].records)
    follows = silent is not None and bool(timed)
    consensus = Consensus.of(model, total)
    chosen = plan(layout, total, slices, consensus, windows=len(timed), volume=follows)
    # A stream may begin in the middle of its first window.
    rows = [chosen.extract(windows[start], whole=start != timed[0]) for start in timed]
    width = len(chosen.keys())
    x = np.array([x for x, _ in rows], dtype=np.int64).reshape(len(rows), width)
    n = np.array([n for _, n in rows], dtype=np.int64).reshape(len(rows), width)
    distinct = [windows[start].distinct for start in timed]
    texts = _text_series(chosen, distinct) if chosen.copies and timed else None
    starts = np.array(timed, dtype=np.int64)
    civil = civil if timed else UTC_TIME
    return Baseline(
        probe_set,
        chosen,
        total,
        window_ms,
        starts,
        x,
        n,
        dict(source),
        model,
        gold,
        civil,
        silent=_within(silent or (), timed),
        keep=keep if timed else (),
        texts=texts,
    )


def _text_series(chosen: SeriesPlan, windows: Sequence[DistinctCounts | None]) -> TextSeries | None:
    """Return the series of the windows' distinct texts; None if those of one are not known."""
    rows = [chosen.extract(distinct.counts) for distinct in windows if distinct is not None]
    if len(rows) < len(windows):
        return None
    x, n = (np.array(part, dtype=np.int64) for part in zip(*rows, strict=True))
    return TextSeries(x, n)


def _within(silent: Collection[int], timed: Sequence[int]) -> Ints:
    """Return those of the *silent* windows that lie between the first and the last with records."""
    between = sorted(start for start in silent if timed and timed[0] < start < timed[-1])
    return np.array(between, dtype=np.int64)
