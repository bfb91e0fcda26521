"""What the backtest report says of alerts that settled, and of those that reopened."""

from __future__ import annotations

from tests.alerts.builders import HOUR_MS, NOON_MS, quiet, run, shifted
from tidegauge_probes.drift.civil_time import UTC
from tidegauge_service.web.charts import specs
from tidegauge_service.web.charts.renderer import to_svg
from tidegauge_service.web.pages import backtest

END = NOON_MS + 200 * HOUR_MS
SETTLED = run([shifted(0.004), shifted(0.1), *[shifted(0.2)] * 96]).alert
AGAIN = run([shifted(0.004), *[quiet()] * 4, shifted(0.004)]).alert
OVER = run([shifted(0.004), *[quiet()] * 4]).alert


def test_the_list_marks_them() -> None:
    settled, again, over = (backtest._row(a, UTC) for a in (SETTLED, AGAIN, OVER))
    assert settled.resolved == "settled"
    assert "has settled at 19.8 %, where the baseline expects 8 %" in settled.sentence
    assert again.resolved == "open"
    assert again.sentence.endswith(" (reopened once)")
    assert over.resolved == "2020-03-15T16:00:00Z"
    assert "(" not in over.sentence.replace("(expected", "")


def test_the_summary_counts_them() -> None:
    assert backtest._alerts([SETTLED, AGAIN, OVER]) == "3, 1 resolved, 1 settled, 1 reopened"
    assert backtest._alerts([OVER]) == "1, 1 resolved"


def test_the_timeline_is_pale_where_they_have_settled() -> None:
    level = SETTLED.settled
    assert level is not None
    moving, settled = backtest._bars(SETTLED, HOUR_MS, END)
    assert (moving.opened_ms, settled.until_ms) == (NOON_MS, END)
    assert moving.until_ms == settled.opened_ms == level.from_ms > NOON_MS
    assert (moving.settled, settled.settled) == (False, True)
    assert [bar.settled for bar in backtest._bars(OVER, HOUR_MS, END)] == [False]
    drawn = to_svg(specs.timeline([moving, settled], NOON_MS, END))
    assert drawn.count('opacity="0.4"') == 1


def test_an_alert_that_settled_where_it_opened_has_one_bar() -> None:
    at_once = run([shifted(0.2)] * 64).alert
    [bar] = backtest._bars(at_once, HOUR_MS, END)
    assert bar.settled
    assert bar.opened_ms == NOON_MS
