"""False alarms: the budget, what the stream's own calibration predicts, and what opened."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, Field

from tidegauge_service.api.context import Ctx, find_stream
from tidegauge_service.clock import to_iso
from tidegauge_service.store.windows import forecast

router = APIRouter(prefix="/api/v1/streams", tags=["streams"])


class LeftOutStretch(BaseModel):
    """A stretch of time; `until` is exclusive."""

    from_: str = Field(alias="from")
    until: str


class FalseAlarmReport(BaseModel):
    """False incidents over the `windows` that were compared with the baseline in use.

    `allowed`: by the budget; `predicted`: from the baseline's own calibration, null while it is
    learning; `incidents`: opened, right or wrong. All are null before the first comparison.
    `wandering`: series without a level to return to, of which only large shifts alert. `left_out`:
    stretches of the baseline's windows that it did not learn from.
    """

    baseline: str | None
    budget: str | None
    windows: int
    allowed: float | None
    predicted: float | None
    incidents: int | None
    wandering: list[str]
    left_out: list[LeftOutStretch]


@router.get("/{name}/false-alarms")
def get_false_alarms(name: str, ctx: Ctx) -> FalseAlarmReport:
    """Return the false incidents to expect, beside the incidents that opened."""
    with ctx.database.read() as connection:
        stream = find_stream(connection, name)
        row = forecast.of_stream(connection, stream)
    if row is None:
        return FalseAlarmReport(
            baseline=stream.baseline,
            budget=None,
            windows=0,
            allowed=None,
            predicted=None,
            incidents=None,
            wandering=[],
            left_out=[],
        )
    return FalseAlarmReport(
        baseline=row.baseline,
        budget=row.budget,
        windows=row.windows,
        allowed=row.allowed * row.windows,
        predicted=row.predicted,
        incidents=row.incidents,
        wandering=list(row.wandering),
        left_out=[
            LeftOutStretch(**{"from": to_iso(since), "until": to_iso(until)})
            for since, until in row.left_out
        ],
    )
