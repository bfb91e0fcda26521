"""What the page says of how right the LFs are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from tidegauge_alerts.messages.phrases import clean
from tidegauge_probes.label_model.accuracy import Accuracy
from tidegauge_service.store.windows.precision import LfPrecision, WindowPrecision
from tidegauge_service.web.words import Fact, band, count, share

UNKNOWN: Final = "too little known"


@dataclass(frozen=True, slots=True)
class PrecisionRow:
    """One LF's votes for one class."""

    name: str
    label: str
    baseline: str
    expected: str
    precision: str
    interval: str
    verdict: str
    changed: bool


@dataclass(frozen=True, slots=True)
class PrecisionView:
    """Class shares and the precision of the LFs, those that changed first.

    ``withheld``: what is not shown because the votes do not tell it; empty if all is. ``levels``:
    whether precisions are shown, not changes alone. ``labels``: how many gold labels are in them.
    """

    withheld: str
    levels: bool
    labels: int
    summary: str
    shares: tuple[Fact, ...]
    rows: tuple[PrecisionRow, ...]
    changed: bool


def precision_view(found: WindowPrecision | None) -> PrecisionView | None:
    """Return the section as the page shows it; None without a label model."""
    if found is None:
        return None
    ordered = sorted(found.lfs, key=lambda lf: not lf.changed)
    return PrecisionView(
        withheld=found.withheld,
        levels=found.levels,
        labels=found.labels,
        summary=_summary(found, found.lfs),
        shares=(
            *(
                Fact(
                    f"Share of {clean(c.label)}",
                    f"{_known(c.share)} ({share(c.baseline)} at baseline)",
                )
                for c in found.shares
            ),
            *_accuracy(found.accuracy),
        ),
        rows=tuple(_row(lf) for lf in ordered),
        changed=any(lf.changed for lf in found.lfs),
    )


def _summary(found: WindowPrecision, lfs: Sequence[LfPrecision]) -> str:
    if not found.windows:
        return "Too few records so far, even with earlier windows included"
    changed = sum(lf.changed for lf in lfs)
    what = "Precision of" if found.levels else "Changes of"
    moved = f"{count(changed) if changed else 'none'} of them changed"
    return (
        f"{what} {count(len(lfs), 'LF–class combination')}, {moved}, from "
        f"{count(found.records, 'record')} of the last {count(found.windows, 'window')}"
    )


def _accuracy(found: Accuracy | None) -> Iterator[Fact]:
    if found is not None:
        interval, gold = band(found.low, found.high), share(found.baseline)
        figure = f"{share(found.value)} ({interval}; {gold} on the gold records)"
        yield Fact("Accuracy of the model", figure)


def _row(lf: LfPrecision) -> PrecisionRow:
    return PrecisionRow(
        name=clean(lf.probe),
        label=clean(lf.label),
        baseline=_known(lf.baseline),
        expected=share(lf.expected),
        precision=_known(lf.precision),
        interval=band(lf.low, lf.high),
        verdict=_verdict(lf),
        changed=lf.changed,
    )


def _verdict(lf: LfPrecision) -> str:
    if lf.changed:
        return "changed"
    return "as at baseline" if lf.judged or lf.precision is not None else UNKNOWN


def _known(value: float | None) -> str:
    return UNKNOWN if value is None else share(value)
