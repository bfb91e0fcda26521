"""What a drain says at its end."""

from __future__ import annotations

from tidegauge_probes.findings import BlindCause, Blindness
from tidegauge_service.cli.console.outcome import outcome
from tidegauge_service.store.streams import StreamRow
from tidegauge_service.store.windows.queries import StreamSummary

ROW = StreamRow(1, "spam", 3_600_000, 600_000, "probes-1", "base-1")


def summary(
    dead: dict[str, int], alerts: dict[tuple[str, str, str], int], *blind: Blindness
) -> StreamSummary:
    return StreamSummary(ROW, None, None, (), 5, None, dead, alerts, {}, {}, blind=blind)


def test_a_good_run_needs_two_lines() -> None:
    closed = {("resolved", "critical", "spike"): 3}
    assert outcome(summary({}, closed), "s.yaml") == (
        "spam: 0 records in 5 windows, 0 late, 0 dead letters, 0 open alerts",
        "  the page has the alerts and charts: `tidegauge run s.yaml`",
    )


def test_trouble_says_where_to_look() -> None:
    alerts = {("firing", "critical", "spike"): 1, ("pending", "warning", "drift"): 2}
    fails = Blindness(BlindCause.NO_SEGMENTS, 1.0, missing="chanel")
    first, *more = outcome(summary({"not_json": 1_200}, alerts, fails), "s.yaml")
    assert first.endswith("0 late, 1,200 dead letters, 3 open alerts")
    assert "tidegauge dead-letters list spam" in more[1]
    assert "tidegauge doctor s.yaml" in more[2]
