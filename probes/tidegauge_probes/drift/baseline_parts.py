"""The parts of a stored baseline: a zip of a JSON header, counts and arrays."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from tidegauge_probes.counts import panes as counts_
from tidegauge_probes.counts.panes import DistinctCounts, PaneCounts
from tidegauge_probes.drift.calibration.windows import Stretches
from tidegauge_probes.drift.civil_time import UTC_TIME
from tidegauge_probes.drift.series.pairs import Pairs
from tidegauge_probes.drift.series.series_plan import SeriesPlan
from tidegauge_probes.label_model.accuracy import Gold
from tidegauge_probes.label_model.model import LabelModel
from tidegauge_probes.label_model.parts import LabelModelFacts, of_parts

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

MODEL: Final = "model."
"""Prefix of the names of the label model's arrays."""

GOLD: Final = ("outcomes", "labels")
DISTINCT: Final = "distinct.counts"


class BaselineHeader(msgspec.Struct):
    """What is not an array."""

    version: int
    probe_set: str
    window_ms: int
    layout: tuple[tuple[str, ...], tuple[str, ...], tuple[tuple[int, ...], ...]]
    segments: tuple[str, ...]
    pairs: Pairs
    source: dict[str, Any]
    model: LabelModelFacts | None = None
    consensus: bool = False
    agreements: Pairs = ()
    gold_model: int | None = None
    distinct: tuple[int, int, int] | None = None
    """Records, texts and level of the distinct texts, if they are known."""
    timezone: str = UTC_TIME.zone
    calendar: str | tuple[str, ...] = ""
    volume: bool = False
    keep: Stretches = ()


def total_of(parts: Mapping[str, bytes], header: BaselineHeader) -> PaneCounts:
    """Read the counts of all its records."""
    total = counts_.decode(parts["total.counts"])
    if header.distinct is None:
        return total
    return replace(
        total, distinct=DistinctCounts(counts_.decode(parts[DISTINCT]), *header.distinct)
    )


def model_of(
    parts: Mapping[str, bytes], header: BaselineHeader, total: PaneCounts
) -> LabelModel | None:
    """Read its label model; None if it has none."""
    if header.model is None:
        return None
    found = {
        name.removeprefix(MODEL): array_of(content)
        for name, content in parts.items()
        if name.startswith(MODEL)
    }
    return of_parts(header.model, found, total.lfs, total.classes)


def gold_of(parts: Mapping[str, bytes], header: BaselineHeader, total: PaneCounts) -> Gold | None:
    """Read its gold records, or None; ValueError if they do not fit."""
    if header.gold_model is None:
        return None
    outcomes, labels = (array_of(parts[f"gold.{name}"]) for name in GOLD)
    if outcomes.shape != (len(labels), total.lfs) or not 0 <= header.gold_model < total.lfs:
        msg = "its gold records belong to other LFs"
        raise ValueError(msg)
    return Gold(outcomes.astype(np.int8), labels, header.gold_model, total.classes)


def refuse_misfit(
    chosen: SeriesPlan, total: PaneCounts, starts: Ints, series: Sequence[Ints]
) -> None:
    """Check that layout, windows and series have the same sizes; ValueError if not."""
    layout = (len(chosen.layout.probes), len(chosen.layout.classes))
    shape = (len(starts), len(chosen.keys()))
    if (total.lfs, total.classes) != layout or any(part.shape != shape for part in series):
        msg = "its parts do not fit together"
        raise ValueError(msg)


def npy(array: Ints | Floats | npt.NDArray[np.bool_]) -> bytes:
    """Return an array in little-endian npy form, equal for equal content."""
    buffer = io.BytesIO()
    form = "<f8" if array.dtype.kind == "f" else "<i8"
    np.save(buffer, array.astype(form), allow_pickle=False)
    return buffer.getvalue()


def array_of(encoded: bytes) -> npt.NDArray[Any]:
    """Read what ``npy`` wrote."""
    return np.asarray(np.load(io.BytesIO(encoded), allow_pickle=False))


def packed(parts: Mapping[str, bytes]) -> bytes:
    """Pack with a fixed time, so that equal content has equal bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content)
    return buffer.getvalue()
