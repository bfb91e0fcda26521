"""Where a shift comes from: which segment, or a changed mix of segments.

With weights w (shares of the volume) and rates r of the segments of one field, before (0) and
now (1), and R₀ the rate of the whole before,

    R₁ − R₀ = Σ_s (w₁ − w₀)(r₀ − R₀)  [mix]  +  Σ_s w₁ (r₁ − r₀)  [within]

(the decomposition of Kitagawa 1955, weighted by the present). Rates now are shrunk to those before
by a few records, and only a segment whose own series is significant is named.

Before all that: another mix of classes, of which the other LFs tell (``precision.class_shares``).
An LF that is right as often as ever votes less where its class has become rare; on real traffic
most of what looks like LFs getting worse is that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from tidegauge_probes.drift.significance import benjamini_hochberg
from tidegauge_probes.findings import ALL, Cause, CauseKind, Finding, SeriesKey
from tidegauge_probes.label_model.model import MIN_LFS, LabelModel
from tidegauge_probes.label_model.precision import MIN_RECORDS, PairCounts, class_shares

MOST: Final = 0.8
"""The smallest segment that explains so much of a change is named; so much by mix is a mix."""

SHRINKAGE: Final = 20.0
"""Records of "as before" that each segment's rate is shrunk by."""

SIGNIFICANT: Final = 0.05
"""False-discovery rate among the segments of a field."""

OVERSHOT: Final = 1.5
"""A mix of classes that would have moved an LF this much further than it did is not the cause."""

TOO_WIDE: Final = 0.95
"""A segment of nearly all records explains nothing."""


@dataclass(frozen=True, slots=True)
class _Part:
    """One segment. ``mix`` and ``within`` add up, over the parts, to the change of the whole."""

    segment: str
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
    """Return where a shift of the series of all records comes from; None if nowhere in particular.

    Args:
        key: the series; only those over all records are explained.
        findings: of the window, by series: what is expected, and how sure each is.
        totals: over the windows of the shift: one window alone says little of small segments.
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
    # What is within one small segment tells most; a mix least.
    return min(known, key=lambda c: (c.kind is not CauseKind.WITHIN, c.weight), default=None)


def of_classes(
    lf: int,
    change: float,
    model: LabelModel,
    classes: Sequence[str],
    now: PairCounts,
) -> Cause | None:
    """Return another mix of classes as the cause of a shift of an LF's coverage, or None.

    Args:
        lf: its column. The class shares are told by the other LFs alone.
        change: of its coverage: now − expected.
        model: of the baseline.
        classes: their names.
        now: counts of the windows of the shift.
    """
    others = (np.arange(len(model.emission)) != lf) & ~model.dependent[lf]
    if now.records < MIN_RECORDS or others.sum() < MIN_LFS or not change:
        return None
    shares = class_shares(model, now.shares, now.records, others)
    votes = 1 - model.emission[lf, model.classes]  # P(it votes | class)
    share = float(votes @ (shares - model.prior)) / change
    if not MOST <= share <= OVERSHOT:
        return None
    moved = int(np.abs(shares - model.prior).argmax())
    return Cause(
        CauseKind.CLASSES, classes[moved], "", round(share, 4), round(float(shares[moved]), 4)
    )


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
        return Cause(kind, field, "", round(mix / change, 4), 1.0)
    return None


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
        _Part(f.key.segment, float(w1[s]), float(mix[s]), float(within[s]), bool(significant[s]))
        for s, f in enumerate(findings)
    ]
