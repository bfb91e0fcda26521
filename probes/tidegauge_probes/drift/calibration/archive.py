"""The stored form of a calibration: a JSON header and arrays, for a baseline's archive.

Calibration takes seconds if there are many series, so it runs once, when a baseline is frozen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from tidegauge_probes.drift.calibration.forecast import Forecast
from tidegauge_probes.drift.calibration.generalised_pareto import DISTANCES, Exceedance
from tidegauge_probes.drift.calibration.model import Calibration
from tidegauge_probes.drift.calibration.tails import GROUPS, TailMaps
from tidegauge_probes.drift.calibration.variance_time import PHIS, VarianceTime
from tidegauge_probes.drift.calibration.volume import with_own
from tidegauge_probes.drift.civil_time import CivilTime
from tidegauge_probes.drift.season import Cycle, Season, bin_count

Array = npt.NDArray[Any]

HEADER: Final = "calibration.json"
_PREFIX: Final = "calibration."
_SERIES: Final = ("p", "tau2", "error", "n")
_CYCLE: Final = ("shift", "variance", "pull")


class _Header(msgspec.Struct):
    freedom: float
    left_out: tuple[tuple[int, int], ...]
    cycles: tuple[tuple[int, int], ...]
    maps: tuple[tuple[float, float] | None, ...]
    forecast_windows: int
    volume: tuple[int, float, float] | None = None
    """Place of the volume, its degrees of freedom, and what is unknown of its mean. Its maps come
    after the others."""


def encode(
    calibration: Calibration, tails: TailMaps, forecast: Forecast
) -> tuple[bytes, dict[str, Array]]:
    """Return the header and the arrays by name. *tails*: the tail maps of the calibration."""
    cycles = calibration.season.cycles
    maps = [*(one for pair in tails.maps for one in pair), *tails.own]
    freedom = np.broadcast_to(calibration.freedom, calibration.p.shape)
    unknown = np.broadcast_to(calibration.unknown, calibration.p.shape)
    others = np.delete(freedom, tails.place) if tails.own else freedom
    place = tails.place
    header = _Header(
        float(others[0]),
        calibration.left_out,
        tuple((cycle.period_ms, cycle.bin_ms) for cycle in cycles),
        tuple(None if one is None else (one.level, one.rate) for one in maps),
        forecast.windows,
        (place, float(freedom[place]), float(unknown[place])) if tails.own else None,
    )
    arrays = {name: getattr(calibration, name) for name in _SERIES}
    arrays |= {"curve": calibration.curve.weights, "rare": tails.rare}
    arrays["peaks"] = forecast.peaks
    arrays["maps"] = np.array([one.log_survival for one in maps if one is not None])
    for i, cycle in enumerate(cycles):
        arrays |= {f"cycle{i}.{name}": getattr(cycle, name) for name in _CYCLE}
    return msgspec.json.encode(header), {_PREFIX + name: part for name, part in arrays.items()}


def decode(
    header: bytes, stored: Mapping[str, Array], series: int, civil: CivilTime, window_ms: int
) -> tuple[Calibration, Forecast]:
    """Read what ``encode`` wrote; ValueError or KeyError if it does not fit *series*.

    *civil*, *window_ms*: those of the baseline; its cycles are read with them.
    """
    head = msgspec.json.decode(header, type=_Header)
    arrays = {name.removeprefix(_PREFIX): part for name, part in stored.items()}
    cycles = tuple(
        Cycle(period, bin_ms, *(arrays[f"cycle{i}.{name}"] for name in _CYCLE))
        for i, (period, bin_ms) in enumerate(head.cycles)
    )
    known = [one for one in head.maps if one is not None]
    shapes = {**dict.fromkeys(_SERIES, (series,)), "curve": (len(PHIS), series), "rare": (series,)}
    shapes["peaks"] = (len(arrays["peaks"]),)
    shapes["maps"] = (len(known), len(DISTANCES)) if known else (0,)
    for i, cycle in enumerate(cycles):
        shape = (bin_count(cycle.period_ms, cycle.bin_ms), series)
        shapes |= {f"cycle{i}.{name}": shape for name in _CYCLE}
    if len(head.maps) != (2 if head.volume is None else 3) * len(GROUPS) or any(
        arrays[name].shape != shape for name, shape in shapes.items()
    ):
        msg = "its calibration belongs to other series"
        raise ValueError(msg)
    p, tau2, error, n = (arrays[name] for name in _SERIES)
    calibration = Calibration(
        p=p,
        tau2=tau2,
        error=error,
        n=n,
        learning=False,
        curve=VarianceTime(arrays["curve"]),
        season=Season(cycles, civil, window_ms),
        freedom=head.freedom,
        tails=_tails(head, arrays["maps"], arrays["rare"].astype(np.bool_)),
        left_out=head.left_out,
    )
    return _with_volume(calibration, head), Forecast(arrays["peaks"], head.forecast_windows)


def _with_volume(calibration: Calibration, head: _Header) -> Calibration:
    if head.volume is None:
        return calibration
    place, freedom, unknown = head.volume
    series = len(calibration.p)
    return replace(
        calibration,
        freedom=with_own(head.freedom, freedom, place, series),
        unknown=with_own(0.0, unknown, place, series),
    )


def _tails(head: _Header, survivals: Array, rare: Array) -> TailMaps:
    rows = iter(survivals)
    maps = [None if one is None else Exceedance(*one, next(rows)) for one in head.maps]
    pooled, own = maps[: 2 * len(GROUPS)], maps[2 * len(GROUPS) :]
    pairs = tuple(zip(pooled[::2], pooled[1::2], strict=True))
    return TailMaps(pairs, rare, tuple(own), 0 if head.volume is None else head.volume[0])
