"""What ``tidegauge replay`` prints of the alerts it found."""

from __future__ import annotations

import io

import pytest

from tests.alerts.builders import HOUR_MS, NOON_MS, fired, shifted
from tidegauge_service.cli import replay
from tidegauge_service.cli.console.terminal import LiteralConsole
from tidegauge_service.store.alerting.alert_fields import fields_of

SUMMARY: dict[str, object] = {
    "records": 10, "windows": 5, "late": 0, "dead_letters": 0, "dead_letter_reasons": {},
    "seconds": 1.0, "records_per_second": 10, "candidates": 0,
}  # fmt: skip
[SUMMED] = fired(shifted(0.079, scale=5, share=0.02)).alerts


def shown(monkeypatch: pytest.MonkeyPatch, *alerts: object) -> str:
    written = io.StringIO()
    monkeypatch.setattr(replay, "out", LiteralConsole(file=written, width=80, soft_wrap=True))
    replay._show(SUMMARY, list(alerts))  # type: ignore[arg-type]
    return written.getvalue()


def test_a_table_of_80_columns_keeps_its_dates_and_says_what_was_compared(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = shown(monkeypatch, SUMMED)
    assert max(map(len, said.splitlines()[1:-1])) <= 80
    assert "2020-03-15T12:00" in said
    words = " ".join(said.replace("│", " ").split())
    assert "8 % → 2 % over the last 5 windows" in words
    assert "7.9" not in words, "the last window alone looks like the baseline"


def test_dates_are_cut_to_the_minute_only_where_they_are_whole() -> None:
    assert replay._minute(NOON_MS + HOUR_MS) == "2020-03-15T13:00"
    assert replay._minute(NOON_MS + 30_000) == "2020-03-15T12:00:30Z"


def test_without_an_alert_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no alerts" in shown(monkeypatch)


def test_scripts_get_the_figures_of_the_sum() -> None:
    row = fields_of(SUMMED)
    assert (row["observed"], row["scale"], row["share"]) == (0.079, 5, 0.02)
    [alone] = fired(shifted(0.02)).alerts
    assert (fields_of(alone)["scale"], fields_of(alone)["observed"]) == (1, 0.02)
