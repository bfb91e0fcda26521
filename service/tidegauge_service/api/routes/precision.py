"""What the label model says of a stream's windows: class shares, precision of its LFs."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import APIRouter
from pydantic import BaseModel

from tidegauge_probes.label_model import LabelModelKind
from tidegauge_service.api.context import Ctx, Cursor, Limit, Since, Until, find_stream
from tidegauge_service.api.filters import span
from tidegauge_service.api.paging import from_cursor, to_cursor
from tidegauge_service.clock import to_iso
from tidegauge_service.store.windows import precision
from tidegauge_service.store.windows.precision import WindowPrecision

router = APIRouter(prefix="/api/v1/streams", tags=["streams"])


class ClassShareItem(BaseModel):
    """Share of one class of all records: at baseline, and now."""

    label: str
    baseline: float
    share: float | None


class LfPrecisionItem(BaseModel):
    """How often an LF's votes for a class are right, with the 95 % interval.

    `expected` is what the baseline's accuracies give under the mix of classes of now. `judged`: the
    LF has enough votes to be called changed. Figures are null where they are too unsure to be told.
    """

    probe: str
    label: str
    baseline: float | None
    expected: float | None
    precision: float | None
    low: float | None
    high: float | None
    changed: bool
    judged: bool


class AccuracyItem(BaseModel):
    """Accuracy of the deployed model, with the 95 % interval.

    `baseline` is that on the gold records; `effective`, as many of them as the weighted ones are
    worth.
    """

    baseline: float
    value: float
    low: float
    high: float
    effective: float


class PrecisionItem(BaseModel):
    """Figures at the end of one window, from it and the `windows` − 1 before it.

    `kind` is that of the baseline's label model: `full`, `votes` or `majority`; `labels`, how many
    gold labels it has. What the votes do not tell is missing, and `withheld` says why; else it is
    empty.
    """

    start: str
    end: str
    baseline: str
    windows: int
    records: int
    shares: list[ClassShareItem]
    lfs: list[LfPrecisionItem]
    accuracy: AccuracyItem | None
    kind: LabelModelKind
    labels: int
    withheld: str


class PrecisionPage(BaseModel):
    """A page of windows; `next` is the cursor of the following one."""

    items: list[PrecisionItem]
    next: str | None


@router.get("/{name}/precision")
def list_precision(
    name: str,
    ctx: Ctx,
    since: Since = None,
    until: Until = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> PrecisionPage:
    """List what the label model says of compared windows, oldest first."""
    after = from_cursor(cursor)
    start, end = span(since, until)
    with ctx.database.read() as connection:
        stream = find_stream(connection, name)
        found = precision.page(
            connection,
            stream,
            since_ms=start if after is None else after[0] + 1,
            until_ms=end,
            limit=limit,
        )
    following = to_cursor((found[-1].start_ms, "")) if len(found) == limit else None
    return PrecisionPage(items=[_item(w, stream.window_ms) for w in found], next=following)


def _item(window: WindowPrecision, window_ms: int) -> PrecisionItem:
    start, end = to_iso(window.start_ms), to_iso(window.start_ms + window_ms)
    return PrecisionItem(start=start, end=end, **asdict(window))
