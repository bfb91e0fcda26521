"""Where a shift comes from: which segment, or a changed mix of segments.

With weights w (shares of the volume) and rates r of the segments of one field, before (0) and
now (1), and R₀ the rate of the whole before,

    R₁ − R₀ = Σ_s (w₁ − w₀)(r₀ − R₀)  [mix]  +  Σ_s w₁ (r₁ − r₀)  [within]

(the decomposition of Kitagawa 1955, weighted by the present). Rates now are shrunk towards those
before by a few records, and only a segment whose own series is significant is named.

A changed mix of classes, which the other LFs show (``label_model.ratios``), is considered first. An
LF that is right as often as ever votes less often where its class has become rare.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from tidegauge_probes.drift.significance import benjamini_hochberg
from tidegauge_probes.findings import ALL, Cause, CauseKind, Finding, SeriesKey, ValueShare
from tidegauge_probes.label_model.limits import MIN_LFS, MIN_VOTES
from tidegauge_probes.label_model.model import LabelModel
from tidegauge_probes.label_model.precision import MIN_RECORDS, PairCounts
from tidegauge_probes.label_model.ratios import Ratios, ratios, sharpened

MOST: Final = 0.8
"""Share of a change that the named segment, or a changed mix, must explain."""

SHRINKAGE: Final = 20.0
"""Prior records at the old rate, towards which each segment's rate is shrunk."""

SIGNIFICANT: Final = 0.05
"""False-discovery rate across the segments of a field."""

OVERSHOT: Final = 1.5
"""A class mix that would have moved an LF this much further than it did is not the cause."""

MOVED_Z: Final = 3.0
"""Standard errors from 1 at which the ratio of a class has moved."""

LEAST_MOVE: Final = 0.5
"""Share of the class's own move (in logarithms) that an LF must have made to have moved with it."""

AS_FAR: Final = 0.9
"""Classes whose share moved at least this fraction of the largest move are also examined."""

ALIKE: Final = 0.8
"""Share of the votes for a class that must come from LFs that moved with it."""

TOO_WIDE: Final = 0.95
"""A segment that covers nearly all records explains nothing."""


@dataclass(frozen=True, slots=True)
class _Part:
    """One segment. ``mix`` and ``within`` add up, over the parts, to the change of the whole.

    ``before``, ``weight``: its share of the volume, at baseline and now.
    """

    segment: str
    before: float
    weight: float
    mix: float
    within: float
    significant: bool


Totals = Mapping[SeriesKey, tuple[int, int]]
"""x of n by series, over the windows of a shift."""


def explain(
    key: SeriesKey,
    findings: Mapping[SeriesKey, Finding],
    totals: Totals,
    before: Mapping[SeriesKey, int],
) -> Cause | None:
    """Return where a shift in the series of all records comes from; None if nowhere in particular.

    Args:
        key: the series; only those over all records are explained.
        findings: of the window, by series: what is expected, and how certain each one is.
        totals: over the windows of the shift: a single window says little about small segments.
        before: volume of each series in the baseline.
    """
    if key.segment != ALL or key not in findings:
        return None
    fields: dict[str, list[Finding]] = {}
    for found, finding in findings.items():
        name, eq, _ = found.segment.partition("=")
        if eq and _same_but_for_segment(found, key) and finding.expected is not None:
            fields.setdefault(name, []).append(finding)
    causes = [_of_field(name, parts, totals, before) for name, parts in sorted(fields.items())]
    known = [cause for cause in causes if cause is not None]
    # A change within one small segment says most, a changed mix least.
    return min(known, key=lambda c: (c.kind is not CauseKind.WITHIN, c.weight), default=None)


def of_classes(
    lf: int,
    change: float,
    model: LabelModel,
    classes: Sequence[str],
    now: PairCounts,
) -> Cause | None:
    """Return a changed mix of classes as the cause of a shift in an LF's coverage, or None.

    It must explain most of the change, as the other LFs show it, beyond chance, and nearly all LFs
    of the class that moved must have moved with it: one broken LF, or three, are not a class.

    Args:
        lf: its column. The ratios of the classes are told by the other LFs alone.
        change: of its coverage: now − expected.
        model: of the baseline.
        classes: their names.
        now: counts of the windows of the shift.
    """
    k = model.classes
    others = (np.arange(model.lfs) != lf) & ~model.dependent[lf] & model.witnesses & now.working
    used = np.repeat(others, k) & (model.cast >= MIN_VOTES)
    enough = now.records >= MIN_RECORDS and used.sum() >= MIN_LFS
    if not (model.compares and enough and change):
        return None
    told = ratios(model, now.shares, now.records, used)
    mine = slice(lf * k, lf * k + k)
    before = model.cast / model.records
    due = float((before[mine] * (sharpened(model)[mine] @ told.value - 1)).sum())
    share = due / change
    if not MOST <= share <= OVERSHOT:
        return None
    by = np.abs(model.prior * (told.value - 1))
    # With two classes, one gains what the other loses: either may be the one that moved.
    for moved in np.flatnonzero(by >= AS_FAR * by.max()).tolist():
        if _moved_together(model, now, np.flatnonzero(used & (model.own == moved)), told, moved):
            level = float(told.shares(model.prior)[moved]) if model.shares_known else 0.0
            ratio = round(float(told.value[moved]), 4)
            figures = (round(share, 4), round(level, 4))
            return Cause(CauseKind.CLASSES, classes[moved], "", *figures, ratio=ratio)
    return None


def _moved_together(
    model: LabelModel, now: PairCounts, votes: npt.NDArray[np.int64], told: Ratios, moved: int
) -> bool:
    """Tell whether a class moved beyond chance, against the others, and its LFs moved with it.

    It takes at least three LFs that cast most of its votes. If all classes became rarer, the mix
    has not changed: records arrived that no LF knows, which the blind spot reports.
    """
    ratio, sd = float(told.value[moved]), float(np.sqrt(told.covariance[moved, moved]))
    if abs(np.log(ratio)) < max(MOVED_Z * sd / ratio, 1e-9) or not len(votes):
        return False
    if np.log(ratio / float(model.prior @ told.value)) / np.log(ratio) < LEAST_MOVE:
        return False
    before = model.cast[votes] / model.records
    moves = np.log(np.maximum(now.shares[votes], 0.5 / now.records) / before) / np.log(ratio)
    alike = moves >= LEAST_MOVE
    voted = model.cast[votes]
    most = float(voted[alike].sum()) >= ALIKE * float(voted.sum())
    return int(alike.sum()) >= MIN_LFS and most


def _same_but_for_segment(one: SeriesKey, other: SeriesKey) -> bool:
    parts = ("series", "probe", "other", "label")
    return all(getattr(one, part) == getattr(other, part) for part in parts)


def _of_field(
    field: str, findings: Sequence[Finding], totals: Totals, before: Mapping[SeriesKey, int]
) -> Cause | None:
    parts = _parts(findings, totals, before)
    mix, within = sum(p.mix for p in parts), sum(p.within for p in parts)
    change = mix + within
    if not parts or not change:
        return None
    named = [
        p for p in parts if p.significant and p.weight <= TOO_WIDE and p.within / change >= MOST
    ]
    if named:
        least = min(named, key=lambda p: p.weight)
        share = least.within / change
        return Cause(
            CauseKind.WITHIN, field, least.segment, round(share, 4), round(least.weight, 4)
        )
    if mix / change >= MOST:
        # Simpson's paradox: the parts, if anything, moved the other way.
        kind = CauseKind.SIMPSON if within / change < 0 else CauseKind.MIX
        return Cause(kind, field, "", round(mix / change, 4), 1.0, values=_grown(parts))
    return None


def _grown(parts: Sequence[_Part]) -> tuple[ValueShare, ...]:
    """Return the segment whose share of the volume did most for a mix."""
    most = max(parts, key=lambda part: abs(part.mix))
    return (ValueShare(most.segment, round(most.before, 4), round(most.weight, 4)),)


def _parts(
    findings: Sequence[Finding], totals: Totals, before: Mapping[SeriesKey, int]
) -> list[_Part]:
    x1, n1 = np.array([totals[f.key] for f in findings], dtype=np.float64).T
    n0 = np.array([before.get(f.key, 0) for f in findings], dtype=np.float64)
    if len(findings) < 2 or not n0.sum() or not n1.sum():  # noqa: PLR2004
        return []
    r0 = np.array([f.expected for f in findings], dtype=np.float64)
    r1 = (x1 + SHRINKAGE * r0) / (n1 + SHRINKAGE)
    w0, w1 = n0 / n0.sum(), n1 / n1.sum()
    mix, within = (w1 - w0) * (r0 - w0 @ r0), w1 * (r1 - r0)
    p_values = np.array([1.0 if f.p_value is None else f.p_value for f in findings])
    significant = benjamini_hochberg(p_values, SIGNIFICANT)
    return [
        _Part(
            f.key.segment,
            float(w0[s]),
            float(w1[s]),
            float(mix[s]),
            float(within[s]),
            bool(significant[s]),
        )
        for s, f in enumerate(findings)
    ]
