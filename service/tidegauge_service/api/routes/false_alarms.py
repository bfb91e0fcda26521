"""False alarms: the budget, what the stream's own calibration predicts, and what opened."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel

from tidegauge_service.api.context import Ctx, find_stream
from tidegauge_service.store.windows import forecast

router = APIRouter(prefix="/api/v1/streams", tags=["streams"])


class FalseAlarmReport(BaseModel):
    """False incidents over the `windows` that were compared with the baseline in use.

    `allowed`: by the budget; `predicted`: from the baseline's own calibration, null while it is
    learning; `incidents`: opened, right or wrong. All are null before the first comparison.
    """

    baseline: str | None
    budget: str | None
    windows: int
    allowed: float | None
    predicted: float | None
    incidents: int | None


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
        )
    return FalseAlarmReport(
        baseline=row.baseline,
        budget=row.budget,
        windows=row.windows,
        allowed=row.allowed * row.windows,
        predicted=row.predicted,
        incidents=row.incidents,
    )
