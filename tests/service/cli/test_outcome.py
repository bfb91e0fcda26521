"""What a drain says at its end."""

from __future__ import annotations

from dataclasses import replace

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
        "  To see the alerts and charts: `tidegauge run s.yaml`",
    )


def test_trouble_says_where_to_look() -> None:
    alerts = {("firing", "critical", "spike"): 1, ("pending", "warning", "drift"): 2}
    fails = Blindness(BlindCause.NO_SEGMENTS, 1.0, missing="chanel")
    first, *more = outcome(summary({"not_json": 1_200}, alerts, fails), "s.yaml")
    assert first.endswith("0 late, 1,200 dead letters, 3 open alerts")
    assert "'chanel' (`segment_by`)" in more[0]
    assert more[2] == "  To see the dead letters: `tidegauge dead-letters list spam`"
    assert more[3] == "  To see what may be wrong: `tidegauge doctor s.yaml`"


def test_lfs_that_fail_are_named() -> None:
    fails = [Blindness(BlindCause.LF_FAILS, 1.0, name, "KeyError", "'x'") for name in ("a", "b")]
    _, said, *_, last = outcome(summary({}, {}, *fails), "s.yaml")
    assert said == "  2 LFs ('a', 'b') fail on 100 % of the records (KeyError: 'x')"
    assert "tidegauge doctor s.yaml" in last


def test_lfs_that_fail_on_a_few_records_are_named_if_they_fail_on_all() -> None:
    few = replace(summary({}, {}), blind=None)
    _, said, *_, last = outcome(few, "s.yaml", {"a": 1.0, "b": 0.4})
    assert said == "  LFs fail: 'a' on 100 % of the records"
    assert "tidegauge doctor s.yaml" in last
    assert len(outcome(few, "s.yaml", {"b": 0.4})) == 2


def test_lfs_that_fail_on_a_part_are_named_beside_those_that_make_the_stream_blind() -> None:
    fails = Blindness(BlindCause.LF_FAILS, 1.0, "a", "KeyError", "'x'")
    _, blind, some, *_ = outcome(summary({}, {}, fails), "s.yaml", {"a": 1.0, "b": 0.04})
    assert blind == "  LF 'a' fails on 100 % of the records (KeyError: 'x')"
    assert some == "  LFs fail: 'b' on 4 % of the records"


def test_messages_that_no_receiver_took_are_counted() -> None:
    some = replace(summary({}, {}), notifications={"sent": 9, "failed": 2, "waiting": 1})
    _, said, *_, last = outcome(some, "s.yaml")
    assert said == "  messages: 2 failed for good, 1 waiting to be sent"
    assert "tidegauge doctor s.yaml" in last
    sent = replace(some, notifications={"sent": 9})
    assert len(outcome(sent, "s.yaml")) == 2


def test_messages_that_are_not_due_yet_are_no_trouble() -> None:
    """A data gap's own end, for one, is sent an hour later."""
    some = replace(summary({}, {}), notifications={"sent": 1, "waiting": 3})
    _, said, *_ = outcome(some, "s.yaml", scheduled=2)
    assert said == "  messages: 0 failed for good, 1 waiting to be sent"
    assert len(outcome(some, "s.yaml", scheduled=3)) == 2
