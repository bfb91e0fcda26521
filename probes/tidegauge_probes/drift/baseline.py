"""The baseline: what the LFs did on training data, frozen, and how much it varied.

Formulas: quasi-binomial moments on the logit scale. For series s with p̂ over windows of
n_w records, r_w = x_w − n_w p̂ and f_w = 1 − n_w/Σn (its leverage),

    τ̂² = [Σ r_w²/f_w − Σ n_w p q] / Σ n_w (n_w − 1) p² q²

is the variance between windows of logit p that binomial counting does not explain
(Williams 1982, beta-binomial by moments). Single series estimate it badly, so each is shrunk
to the pooled value, and half a posterior standard deviation is added for caution.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from tidegauge_probes.counts import panes as counts_
from tidegauge_probes.counts.panes import MAX_PAIRED, PaneCounts
from tidegauge_probes.drift import season as season_
from tidegauge_probes.drift.calibration import Calibration
from tidegauge_probes.drift.season import DAY_MS, MIN_PERIODS, Season
from tidegauge_probes.drift.series import SeriesPlan, plan
from tidegauge_probes.errors import BaselineError
from tidegauge_probes.findings import SeriesKey
from tidegauge_probes.label_model.accuracy import Gold
from tidegauge_probes.label_model.consensus import Consensus
from tidegauge_probes.label_model.model import LabelModel
from tidegauge_probes.label_model.parts import LabelModelFacts, arrays, facts, of_parts
from tidegauge_probes.lazy import LazyModule
from tidegauge_probes.model import Layout

special = LazyModule("scipy.special", extra="statistics")

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

LEARNING_WINDOWS: Final = 48
"""Below this many calibration windows a baseline is still learning how much is normal."""

FLOOR_TAU: Final = 0.03
"""No stream repeats itself exactly: the least between-window sd of logit p."""

PRIOR_TAU: Final = 0.20
"""Between-window sd assumed where a baseline has no windows to learn it from."""

PRIOR_CV: Final = 0.5
"""How far single series may lie from the pooled variance (coefficient of variation)."""

TRIM_Z: Final = 5.0
"""Calibration windows further off than this hold an incident, not the baseline."""

_VERSION: Final = 2
_WITHOUT_MODEL: Final = 1
"""Written where there is no label model: the same bytes, and so the same id, as ever."""

_MODEL: Final = "model."
"""Of the names of the label model's arrays."""

_GOLD: Final = ("outcomes", "labels")


@dataclass(frozen=True, eq=False)
class Baseline:
    """A frozen reference. ``id`` is the hash of its content.

    ``total``: counts of all its records. ``starts``: int64 [W], its windows (none when it was
    fitted from a vote matrix). ``x``, ``n``: int64 [W, S], the series of each window.
    ``source`` says where it came from, for the auditor. ``model``: None where its LFs are too few,
    or nobody has kept votes to fit it from. ``gold``: None without gold labels.
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

    @cached_property
    def id(self) -> str:
        """Content hash, 16 hex digits."""
        return hashlib.sha256(self.encode()).hexdigest()[:16]

    @cached_property
    def keys(self) -> tuple[SeriesKey, ...]:
        return self.plan.keys()

    @cached_property
    def volumes(self) -> Mapping[SeriesKey, int]:
        """Records (or votes) behind each series."""
        _, n = self.plan.extract(self.total)
        return dict(zip(self.keys, n.tolist(), strict=True))

    @property
    def learning(self) -> bool:
        """Whether it has too few windows to know how much variation is normal."""
        windows = len(self.starts)
        span = int(self.starts[-1] - self.starts[0]) + self.window_ms if windows else 0
        return is_learning(windows, span, self.window_ms)

    @cached_property
    def calibration(self) -> Calibration:
        """Fit what comparing needs; re-fitted on demand from the raw counts."""
        return calibrate(self)

    def with_model(self, model: LabelModel) -> Baseline:
        """Return the same with another label model.

        What that says of its windows is not known, for of those it holds the series, not the
        counts: so where it has windows nothing of it is compared. BaselineError where it was not
        counted how often votes come together (``counts.MAX_PAIRED``).
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
        return replace(self, plan=chosen, model=model, x=x, n=n)

    def encode(self) -> bytes:
        """Return the stored form: a zip of a JSON header and arrays, equal for equal content."""
        header = {
            "version": _WITHOUT_MODEL,
            "probe_set": self.probe_set,
            "window_ms": self.window_ms,
            "layout": [self.plan.layout.probes, self.plan.layout.classes, self.plan.layout.labels],
            "segments": self.plan.segments,
            "pairs": self.plan.pairs,
            "source": dict(self.source),
        }
        model = {}
        if self.model is not None:
            header |= {"version": _VERSION, "model": facts(self.model)}
            header |= {"consensus": self.plan.consensus is not None}
            model = {_MODEL + name: _npy(array) for name, array in arrays(self.model).items()}
        if self.gold is not None:
            header |= {"version": _VERSION, "gold_model": self.gold.model}
            model |= {f"gold.{name}": _npy(getattr(self.gold, name)) for name in _GOLD}
        return _zip(
            {
                "header.json": msgspec.json.encode(header, order="sorted"),
                "total.counts": self.total.encode(),
                **{name: _npy(getattr(self, name)) for name in ("starts", "x", "n")},
                **model,
            }
        )


class _Header(msgspec.Struct):
    version: int
    probe_set: str
    window_ms: int
    layout: tuple[tuple[str, ...], tuple[str, ...], tuple[tuple[int, ...], ...]]
    segments: tuple[str, ...]
    pairs: tuple[tuple[int, int], ...]
    source: dict[str, Any]
    model: LabelModelFacts | None = None
    consensus: bool = False
    gold_model: int | None = None


def is_learning(windows: int, span_ms: int, window_ms: int) -> bool:
    """Tell whether so many windows with records, over such a time, are too few to know."""
    days = window_ms >= DAY_MS or span_ms >= MIN_PERIODS * DAY_MS
    return windows < LEARNING_WINDOWS or not days


def decode(encoded: bytes) -> Baseline:
    """Read what ``encode`` wrote; BaselineError for anything else."""
    try:
        with zipfile.ZipFile(io.BytesIO(encoded)) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
        header = msgspec.json.decode(parts["header.json"], type=_Header)
        total = counts_.decode(parts["total.counts"])
        starts, x, n = (_array(parts[name]) for name in ("starts", "x", "n"))
        model = _decode_model(parts, header, total)
        consensus = Consensus.of(model, total) if header.consensus else None
        chosen = SeriesPlan(Layout(*header.layout), header.segments, header.pairs, consensus)
        _refuse_misfit(chosen, total, starts, (x, n))
        gold = _decode_gold(parts, header, total)
    except Exception as error:  # zipfile and zlib alone have seven ways to say so
        msg = f"the baseline cannot be read ({error}): fit it again"
        raise BaselineError(msg) from error
    if header.version not in {_WITHOUT_MODEL, _VERSION}:
        msg = f"the baseline has version {header.version}, not {_VERSION}: fit it again"
        raise BaselineError(msg)
    return Baseline(
        header.probe_set, chosen, total, header.window_ms, starts, x, n, header.source, model, gold
    )


def _decode_model(
    parts: Mapping[str, bytes], header: _Header, total: PaneCounts
) -> LabelModel | None:
    if header.model is None:
        return None
    found = {
        name.removeprefix(_MODEL): _array(content)
        for name, content in parts.items()
        if name.startswith(_MODEL)
    }
    return of_parts(header.model, found, total.lfs, total.classes)


def _decode_gold(parts: Mapping[str, bytes], header: _Header, total: PaneCounts) -> Gold | None:
    if header.gold_model is None:
        return None
    outcomes, labels = (_array(parts[f"gold.{name}"]) for name in _GOLD)
    if outcomes.shape != (len(labels), total.lfs) or not 0 <= header.gold_model < total.lfs:
        msg = "its gold records are of other LFs"
        raise ValueError(msg)
    return Gold(outcomes.astype(np.int8), labels, header.gold_model, total.classes)


def _refuse_misfit(
    chosen: SeriesPlan, total: PaneCounts, starts: Ints, series: Sequence[Ints]
) -> None:
    layout = (len(chosen.layout.probes), len(chosen.layout.classes))
    shape = (len(starts), len(chosen.keys()))
    if (total.lfs, total.classes) != layout or any(part.shape != shape for part in series):
        msg = "its parts do not fit together"
        raise ValueError(msg)


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
) -> Baseline:
    """Freeze a baseline from the counts of its windows (start in ms → counts).

    A vote matrix without times is one "window" at the key ``-1``: counted, not calibrated on.
    *model* was fitted from those records, or a sample of them: counts alone do not identify the
    class shares (two moments, one unknown too many). *gold*: those whose label is known.
    """
    total = counts_.empty(len(layout.probes), len(layout.classes))
    for pane in windows.values():
        total += pane
    if not total.records:
        msg = (
            "the baseline is empty, as no records fall within it. Check its range, path and fields"
        )
        raise BaselineError(msg)
    chosen = plan(layout, total, slices, model)
    timed = sorted(start for start in windows if start >= 0 and windows[start].records)
    rows = [chosen.extract(windows[start]) for start in timed]
    width = len(chosen.keys())
    x = np.array([x for x, _ in rows], dtype=np.int64).reshape(len(rows), width)
    n = np.array([n for _, n in rows], dtype=np.int64).reshape(len(rows), width)
    starts = np.array(timed, dtype=np.int64)
    return Baseline(probe_set, chosen, total, window_ms, starts, x, n, dict(source), model, gold)


def calibrate(baseline: Baseline) -> Calibration:
    """Estimate p, τ², φ and the error of p for each series (detection: baseline)."""
    if baseline.learning:
        return _uncalibrated(baseline)
    x, n = baseline.x.astype(np.float64), baseline.n.astype(np.float64)
    keep = n > 0
    # An incident inside the baseline raises τ² and so hides itself: find it with a pooled τ²,
    # leave its windows out, and estimate again.
    for _ in range(2):
        # Without weeks: two of them would take an incident for half a cycle, and hide it.
        p, season, expected = _mean_and_season(baseline, x, n, keep, weekly=False)
        typical = float(np.median(_tau2(x, n, keep, expected)))
        z = _residuals(x, n, expected) / np.sqrt(_variance(n, expected, typical))
        keep = (n > 0) & (np.abs(z) <= TRIM_Z)
    p, season, expected = _mean_and_season(baseline, x, n, keep, weekly=True)
    tau2 = _tau2(x, n, keep, expected, season.leverage(baseline.starts, len(p)))
    phi = _autocorrelation(x, n, keep, expected, tau2)
    windows = np.maximum(keep.sum(axis=0), 1)
    total = np.where(keep, n, 0).sum(axis=0)
    se2 = _counting_error(p, total) + tau2 * (1 + phi) / ((1 - phi) * windows)
    return Calibration(p, tau2, se2, total, phi, learning=False, season=season)


def _mean_and_season(
    baseline: Baseline, x: Floats, n: Floats, keep: npt.NDArray[np.bool_], *, weekly: bool
) -> tuple[Floats, Season, Floats]:
    """Return mean shares, the cycles around them, and what each window was expected to have.

    A second round takes the cycles out of the mean: volumes differ by time of day, too.
    """
    seen, size = np.where(keep, x, 0), np.where(keep, n, 0)
    total = size.sum(axis=0)
    # Nights of 10 records and days of 1,000: the plain mean is the share by day. The rounds below
    # move p until the expected and the seen totals agree.
    p = _smoothed(seen.sum(axis=0), total)
    counted = season_.SeasonCounts(seen, size)
    season = season_.fit(counted, baseline.starts, baseline.window_ms, p, weekly=weekly)
    expected = season.expected(p, baseline.starts)
    for _ in range(2 if season.cycles else 0):
        due = (size * expected).sum(axis=0)
        found, meant = _smoothed(seen.sum(axis=0), total), _smoothed(due, total)
        p = special.expit(special.logit(p) + special.logit(found) - special.logit(meant))
        expected = season.expected(p, baseline.starts)
    return p, season, expected


def _uncalibrated(baseline: Baseline) -> Calibration:
    x, n = baseline.plan.extract(baseline.total)
    p = _smoothed(x.astype(np.float64), n.astype(np.float64))
    tau2 = np.full(len(p), PRIOR_TAU**2)
    se2 = _counting_error(p, n) + tau2 / max(len(baseline.starts), 1)
    return Calibration(p, tau2, se2, n.astype(np.float64), 0.0, learning=True)


def _smoothed(x: Floats, n: Floats) -> Floats:
    """Jeffreys' estimate: an LF that never voted has a small share, not an impossible one."""
    return np.asarray((x + 0.5) / (n + 1.0))


def _counting_error(p: Floats, n: Floats | Ints) -> Floats:
    return np.asarray(1.0 / (np.maximum(n, 1.0) * p * (1.0 - p)))


def _residuals(x: Floats, n: Floats, p: Floats) -> Floats:
    return x - n * p


def _variance(n: Floats, p: Floats, tau2: Floats | float) -> Floats:
    # 1,000 records a window at p = 0.1 vary by 90 from counting alone; with τ = 0.1 by 81 more.
    pq = p * (1 - p)
    return np.asarray(np.maximum(n * pq + n * np.maximum(n - 1, 0) * pq**2 * tau2, 1e-12))


def _tau2(
    x: Floats,
    n: Floats,
    keep: npt.NDArray[np.bool_],
    p: Floats,
    pulled: Floats | float = 0.0,
) -> Floats:
    """Return τ² per series: moments, shrunk to the pooled value, made cautious, floored.

    *p*: the shares expected, [S], or [W, S] where there are cycles; *pulled*: their leverage.
    """
    weight = np.where(keep, n, 0.0)
    pq = p * (1 - p)
    total = np.maximum(weight.sum(axis=0), 1.0)
    # A window is part of the mean that it is compared with: of 10 equal windows each has drawn a
    # tenth of it to itself, so squared residuals are 10 % too small.
    free = np.maximum(1 - weight / total - pulled, 0.05)
    excess = (weight > 0) * _residuals(weight * 0 + x, n, p) ** 2 / free
    between = (weight * np.maximum(weight - 1, 0) * pq**2).sum(axis=0)
    usable = between > 0
    safe = np.where(usable, between, 1.0)
    counting = (weight * pq).sum(axis=0)
    raw = np.where(usable, (np.where(keep, excess, 0).sum(axis=0) - counting) / safe, 0.0)
    pooled, noise = _pooled(raw, weight, p, safe, usable)
    prior = max((PRIOR_CV * pooled) ** 2, 1e-12)
    precision = 1 / noise + 1 / prior
    # Quiet series borrow from all others: a raw τ² of 0.02 with four times the variance of the
    # prior around 0.01 becomes 0.012.
    mean = (raw / noise + pooled / prior) / precision
    return np.asarray(np.maximum(mean + 0.5 / np.sqrt(precision), FLOOR_TAU**2))


def _pooled(
    raw: Floats, weight: Floats, p: Floats, between: Floats, usable: npt.NDArray[np.bool_]
) -> tuple[float, Floats]:
    """Return the mean τ² over series weighted by precision, and each estimate's variance.

    Var(r²) ≈ 2 Var(r)²; two rounds, since the precision depends on τ² itself.
    """
    pooled = FLOOR_TAU**2
    noise = np.full(len(raw), np.inf)
    for _ in range(2):
        spread = np.where(weight > 0, _variance(weight, p, pooled), 0.0)
        noise = np.where(usable, 2 * (spread**2).sum(axis=0) / between**2, 1e12)
        pooled = max(float((raw / noise).sum() / (1 / noise).sum()), FLOOR_TAU**2)
    return pooled, noise


def _autocorrelation(
    x: Floats, n: Floats, keep: npt.NDArray[np.bool_], p: Floats, tau2: Floats
) -> float:
    """Pooled lag-1 autocorrelation of the between-window part, in [0, 0.95].

    Counting noise is independent from window to window, so the lagged products estimate
    φ·τ² alone; they are divided by τ², not by the whole variance.
    """
    r = np.where(keep, _residuals(x, n, p), 0.0)
    both = np.where(keep[:-1] & keep[1:], n[:-1] * n[1:], 0.0)
    spread = np.broadcast_to(p * (1 - p), n.shape)
    scale = (both * spread[:-1] * spread[1:] * tau2).sum()
    lagged = (r[:-1] * r[1:]).sum()
    return float(np.clip(lagged / scale, 0.0, 0.95)) if scale > 0 else 0.0


def _npy(array: Ints | Floats | npt.NDArray[np.bool_]) -> bytes:
    buffer = io.BytesIO()
    form = "<f8" if array.dtype.kind == "f" else "<i8"
    np.save(buffer, array.astype(form), allow_pickle=False)
    return buffer.getvalue()


def _array(encoded: bytes) -> npt.NDArray[Any]:
    return np.asarray(np.load(io.BytesIO(encoded), allow_pickle=False))


def _zip(parts: Mapping[str, bytes]) -> bytes:
    """Pack with a fixed time, so that equal content has equal bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content)
    return buffer.getvalue()
