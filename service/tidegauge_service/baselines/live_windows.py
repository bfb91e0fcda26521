"""Freeze a baseline from windows of the stream itself, as one ProbeSet has counted them."""

from __future__ import annotations

from collections.abc import Mapping

from tidegauge_alerts.messages.notices import late_advice
from tidegauge_probes.counts.panes import PaneCounts
from tidegauge_probes.drift import baseline as baselines
from tidegauge_probes.drift.baseline import Baseline
from tidegauge_probes.drift.calibration.windows import Stretches
from tidegauge_probes.drift.series.record_series import silent_windows
from tidegauge_probes.errors import BaselineError
from tidegauge_probes.label_model import LabelModel, kinds
from tidegauge_probes.labeling.contents import Contents
from tidegauge_service.baselines.class_balance import Floats, class_balance
from tidegauge_service.clock import to_iso
from tidegauge_service.config.stream_file import BaselineRange, StreamConfig
from tidegauge_service.store import layouts, probe_sets, streams
from tidegauge_service.store.engine import Connection
from tidegauge_service.store.streams import StreamRow
from tidegauge_service.store.windows import precision as precisions
from tidegauge_service.store.windows.counts import (
    counted_span,
    late_between,
    windows_with_records,
    with_distinct_texts,
)

TRAINING = "training"
"""In the source of a baseline of live windows: id of the one of training data that it followed."""


ASSUMED = "assumed"
"""In the source of a baseline that learning had to end with: what was taken for granted."""


def freeze(
    connection: Connection,
    stream: StreamRow,
    since: int,
    until: int,
    before: Baseline | None = None,
    *,
    assumed: str | None = None,
    balance: Mapping[str, float] | None = None,
) -> tuple[Baseline, Mapping[int, PaneCounts]]:
    """Fit the baseline of ``stream.probe_set``; return it and the counts it is made of.

    What the LFs and the deployed model are worth is not learned anew from windows that may well
    have drifted: label model and gold records are those of *before*, the same ProbeSet's.
    *balance*: the share of each class in the range, if somebody knows them.
    *assumed*: what nobody has confirmed; kept with the baseline. The stretches of the stream file
    that are to be left out are in no baseline.
    Raises BaselineError if the ProbeSet has counted nothing in the range, or *balance* is none.
    """
    config = streams.config_of(connection, stream.id)
    panes = with_distinct_texts(connection, stream, since, until)
    if not any(pane.records for pane in panes.values()):
        raise BaselineError(_nothing_counted(connection, stream, since, until))
    left_out, keep = stretches_of(config, since, until)
    panes = {w: p for w, p in panes.items() if not any(a <= w < b for a, b in left_out)}
    if not any(pane.records for pane in panes.values()):
        msg = (
            "the baseline is empty: baseline.leave_out covers all records of its range. Leave out "
            "less, or choose another range"
        )
        raise BaselineError(msg)
    contents = probe_sets.contents_of(connection, stream.probe_set) or Contents()
    layout = layouts.layout_of(connection, stream.probe_set)
    shares = class_balance(balance, layout.classes)
    if before is None:
        votes, weights = precisions.kept_votes(
            connection, stream, since, until, len(layout.probes), left_out=left_out
        )
        aside = contents.deployed
        model = kinds.fit_if_identified(votes, len(layout.classes), weights, aside, balance=shares)
    else:
        model = before.model if shares is None else _with_shares(before.model, shares)
    if model is None and shares is not None:
        msg = "no label model is kept for these windows, so a class balance would not be used"
        raise BaselineError(msg)
    fitted = baselines.fit(
        panes,
        layout=layout,
        probe_set=stream.probe_set,
        window_ms=stream.window_ms,
        source={
            "stream": stream.name,
            "from": to_iso(since),
            "until": to_iso(until),
            **_training(before, stream),
            **({} if balance is None else {"balance": dict(balance)}),
            **({} if assumed is None else {ASSUMED: assumed}),
            **_written("leave_out", left_out),
            **_written("keep", keep),
        },
        slices=[one.name for one in contents.slices],
        model=model,
        gold=before.gold if before else None,
        civil=config.civil,
        silent=[
            start
            for start in silent_windows(
                windows_with_records(connection, stream, since, until), stream.window_ms
            ).tolist()
            if not any(first <= start < end for first, end in left_out)
        ],
        keep=keep,
    )
    return fitted, panes


def stretches_of(config: StreamConfig, since: int, until: int) -> tuple[Stretches, Stretches]:
    """Return the stretches that people leave out of a range, and those they keep in it."""
    chosen = config.baseline
    if not isinstance(chosen, BaselineRange):
        return (), ()
    left_out, keep = (
        tuple(s.span for s in given if s.from_ < until and s.until > since)
        for given in (chosen.leave_out, chosen.keep)
    )
    return left_out, keep


def _written(name: str, stretches: Stretches) -> dict[str, str]:
    """Return stretches as the source of a baseline names them; nothing of none."""
    said = [f"{to_iso(since)} to {to_iso(until)}" for since, until in stretches]
    return {name: "; ".join(said)} if said else {}


def _nothing_counted(connection: Connection, stream: StreamRow, since: int, until: int) -> str:
    """Say that a range has no records, and where there are some."""
    known = counted_span(connection, stream)
    there = "it has none"
    if known:
        there = f"its records lie from {to_iso(known[0])} to {to_iso(known[1])}"
    late = late_between(connection, stream, since, until)
    if late:
        advice = late_advice(streams.source_kind(connection, stream.id))
        return (
            f"the baseline is empty: all {late:,} records of stream '{stream.name}' from "
            f"{to_iso(since)} to {to_iso(until)} were late, so none was counted; {there}. {advice}"
        )
    return (
        f"the baseline is empty: no records of stream '{stream.name}' fall within {to_iso(since)} "
        f"to {to_iso(until)}; {there}. Choose another range"
    )


def _with_shares(model: LabelModel | None, shares: Floats) -> LabelModel | None:
    return None if model is None else model.with_shares(shares)


def of_stream(baseline: Baseline, stream: StreamRow) -> bool:
    """Tell whether a baseline is one of the stream's own windows, not of training data."""
    return baseline.source.get("stream") == stream.name


def _training(before: Baseline | None, stream: StreamRow) -> dict[str, str]:
    return {} if before is None or of_stream(before, stream) else {TRAINING: before.id}
