"""In what the training data were never like the live traffic."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import APIRouter
from pydantic import BaseModel

from tidegauge_alerts.messages.phrases import skewed
from tidegauge_service.api.context import Ctx, find_stream
from tidegauge_service.clock import to_iso
from tidegauge_service.store.windows import skew

router = APIRouter(prefix="/api/v1/streams", tags=["streams"])


class SkewItem(BaseModel):
    """A series that differs: its share in the training data and live, and the odds ratio."""

    series: str
    probe: str
    other: str
    label: str
    segment: str
    trained: float
    live: float
    effect: float
    p_value: float
    text: str


class SkewReport(BaseModel):
    """The series that differ, the surest first.

    `tested` is null while too few live windows are known, or if the stream is compared with
    windows of its own.
    """

    tested: str | None
    training: str | None
    baseline: str | None
    items: list[SkewItem]


@router.get("/{name}/skew")
def list_skew(name: str, ctx: Ctx) -> SkewReport:
    """List the series in which training data and live traffic differ."""
    with ctx.database.read() as connection:
        stream = find_stream(connection, name)
        row = skew.of_stream(connection, stream)
    if row is None:
        return SkewReport(tested=None, training=None, baseline=stream.baseline, items=[])
    return SkewReport(
        tested=to_iso(row.tested_ms),
        training=row.training,
        baseline=row.baseline,
        items=[
            SkewItem(
                **asdict(one.key),
                trained=one.trained,
                live=one.live,
                effect=one.effect,
                p_value=one.p_value,
                text=skewed(one),
            )
            for one in row.found
        ],
    )
