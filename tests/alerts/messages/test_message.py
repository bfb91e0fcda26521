import json

import pytest

from tests.alerts.builders import (
    BLIND_SPOT,
    COVERAGE,
    ERRORS,
    HOUR_MS,
    NOON_MS,
    Run,
    context,
    fired,
    quiet,
    run,
    shifted,
)
from tidegauge_alerts import Message, Rule, messages_of
from tidegauge_alerts.messages import notices
from tidegauge_alerts.messages.model import Status
from tidegauge_alerts.messages.times import iso
from tidegauge_probes.findings import Finding, SeriesKey, SeriesKind

URL = "https://gauge.example.com/"


def series(number: int) -> SeriesKey:
    return SeriesKey(SeriesKind.COVERAGE, probe=f"lf_{number:03d}")


def first(*findings: Finding, **options: object) -> Message:
    """Return the message of a window in which *findings* shift."""
    (message,) = messages_of(fired(*findings), Rule(), context(), **options)  # type: ignore[arg-type]
    return message


def last(history: Run) -> list[Message]:
    """Return the messages of the last window of a run."""
    return messages_of(history.steps[-1], Rule(), context(len(history.steps) - 1))


def test_the_body_is_complete() -> None:
    """Receivers build on these keys: version 1 only ever gains some."""
    body = first(shifted(0.004), candidates=150, url=URL).body
    (alert,) = body["alerts"]
    fingerprint, incident = alert["fingerprint"], body["incident"]
    assert body == {
        "version": "1",
        "event": "alert",
        "status": "firing",
        "group_key": f"spam:{incident}",
        "stream": "spam",
        "incident": incident,
        "headline": "Coverage of LF 'check_out' 8 % → 0.4 % (expected 6.4–9.6 %)",
        "window": {"start": "2020-03-15T12:00:00Z", "end": "2020-03-15T13:00:00Z"},
        "alerts": [
            {
                "id": f"{fingerprint}-{NOON_MS}",
                "fingerprint": fingerprint,
                "incident": incident,
                "series": "coverage",
                "probe": "check_out",
                "other": "",
                "segment": "_all",
                "label": "",
                "rule": "",
                "cause": None,
                "copies": None,
                "kind": "spike",
                "kind_text": "suspicious activity",
                "severity": "critical",
                "state": "firing",
                "reason": "confirmed",
                "observed": 0.004,
                "expected": 0.08,
                "band": [0.064, 0.096],
                "scale": 1,
                "share": None,
                "share_expected": None,
                "effect": pytest.approx(0.0519, abs=1e-4),
                "p_value": 1e-9,
                "n": 1000,
                "reopened": 0,
                "opened_window": "2020-03-15T12:00:00Z",
                "fired_window": "2020-03-15T12:00:00Z",
                "resolved_window": None,
                "text": "suspicious activity: Coverage of LF 'check_out' 8 % → 0.4 % "
                "(expected 6.4–9.6 %)",
            }
        ],
        "truncated": 0,
        "candidates": 150,
        "links": {
            "page": "https://gauge.example.com/",
            "alerts": "https://gauge.example.com/api/v1/alerts?stream=spam",
            "candidates": "https://gauge.example.com/api/v1/candidates?stream=spam",
        },
        "lineage": {
            "probe_set": "probes-1",
            "baseline": "base-1",
            "rule": {
                "for_windows": 1,
                "quiet_windows": 3,
                "resolve_nats": 6.9,
                "step_clip": [-4.0, 2.0],
                "drift_after": 8,
                "critical_odds": 2.0,
                "critical_share": 0.05,
                "memory_windows": 64,
                "settle_windows": 64,
                "budget": 0.5,
            },
        },
    }


def test_the_body_is_plain_json() -> None:
    """The outbox stores it; what is sent is what was read from there."""
    body = first(shifted(effect=float("inf"), p_value=float("nan")), url=URL).body
    assert json.loads(json.dumps(body, allow_nan=False)) == body


def test_a_quiet_window_gives_no_message() -> None:
    assert messages_of(fired(quiet()), Rule(), context()) == []


def test_a_pending_alert_gives_no_message() -> None:
    patient = Rule(for_windows=2)
    assert messages_of(fired(shifted(), rule=patient), patient, context()) == []


def test_a_resolve_tells_the_figures_of_now() -> None:
    history = run([shifted(0.004), *[quiet(0.079)] * 4])
    (message,) = last(history)
    assert message.body["status"] == "resolved"
    assert message.body["headline"] == (
        "Coverage of LF 'check_out' is back at its baseline: "
        "7.9 % in the last window (expected 6.4–9.6 %)"
    )
    (alert,) = message.body["alerts"]
    assert (alert["state"], alert["reason"]) == ("resolved", "recovered")
    assert alert["observed"] == 0.079
    assert alert["resolved_window"] == iso(NOON_MS + 4 * HOUR_MS)


def test_a_firing_alert_that_goes_on_is_not_told_again() -> None:
    assert last(run([shifted(), shifted()])) == []


def test_an_escalation_is_a_firing_message_of_the_same_alert() -> None:
    history = run([shifted(effect=1.5), shifted(effect=3.0)])
    (message,) = last(history)
    (alert,) = message.body["alerts"]
    assert (message.body["status"], alert["reason"]) == ("firing", "escalated")
    assert (alert["severity"], alert["id"]) == ("critical", history.alert.id)
    assert message.body["incident"] == history.alert.incident


def test_what_fires_and_what_resolves_in_one_window_are_two_messages() -> None:
    calm, new = [quiet(), quiet(key=BLIND_SPOT)], [quiet(), shifted(0.3, key=BLIND_SPOT)]
    found = last(run([[shifted()], calm, calm, calm, new]))
    assert [message.body["status"] for message in found] == ["firing", "resolved"]
    assert [[a["series"] for a in m.body["alerts"]] for m in found] == [
        ["blind_spot"],
        ["coverage"],
    ]
    assert found[0].dedup_key != found[1].dedup_key


def test_the_strongest_evidence_comes_first() -> None:
    found = [shifted(key=series(n), rank=rank) for n, rank in enumerate([5.0, -90.0, 30.0])]
    body = first(*found).body
    assert [a["probe"] for a in body["alerts"]] == ["lf_001", "lf_002", "lf_000"]
    assert body["headline"].startswith("Coverage of LF 'lf_001' ")
    assert body["headline"].endswith(", with 2 more series shifted")


def test_with_equal_evidence_the_larger_effect_comes_first() -> None:
    effects = [1.5, 0.1, 4.0]
    found = [shifted(key=series(n), rank=1.0, effect=e) for n, e in enumerate(effects)]
    assert [a["effect"] for a in first(*found).body["alerts"]] == [0.1, 4.0, 1.5]


def test_a_broken_lf_comes_before_all_else() -> None:
    body = first(shifted(key=BLIND_SPOT, rank=1e6), shifted(0.5, key=ERRORS, rank=1.0)).body
    assert [a["kind"] for a in body["alerts"]] == ["fault", "spike"]
    assert body["headline"].startswith("Failures of LF 'check_out' ")


def test_resolved_alerts_are_ranked_by_what_they_were() -> None:
    """Their present figures are all alike: quiet."""
    keys = [series(0), series(1)]
    opened = [shifted(key=keys[0], rank=1.0), shifted(key=keys[1], rank=99.0)]
    history = run([opened, *[[quiet(key=key, rank=0.0) for key in keys]] * 4])
    (message,) = last(history)
    assert [a["probe"] for a in message.body["alerts"]] == ["lf_001", "lf_000"]
    assert message.body["headline"].endswith(", with 1 more series resolved")


def test_a_message_holds_fifty_alerts_and_counts_the_rest() -> None:
    found = [shifted(key=series(n), rank=float(n)) for n in range(120)]
    body = first(*found).body
    assert [a["probe"] for a in body["alerts"]] == [f"lf_{n:03d}" for n in range(119, 69, -1)]
    assert body["truncated"] == 70
    assert body["headline"].endswith(", with 119 more series shifted")
    assert first(*found[:50]).body["truncated"] == 0


def test_without_a_public_address_there_are_no_links() -> None:
    assert first(shifted()).body["links"] == {}


def test_links_quote_the_stream() -> None:
    strange = context(stream="a b&c=d#\ud800")
    step = fired(shifted())
    (message,) = messages_of(step, Rule(), strange, 0, URL)
    assert message.body["links"]["alerts"].endswith("?stream=a%20b%26c%3Dd%23%3F")


def test_who_else_is_told_is_not_told() -> None:
    rule = Rule(receivers=("boss", "on-call"))
    (message,) = messages_of(fired(shifted(), rule=rule), rule, context())
    assert "boss" not in json.dumps(message.body)


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (NOON_MS, "2020-03-15T12:00:00Z"),
        (NOON_MS + 7, "2020-03-15T12:00:00.007Z"),
        (-1000, "1969-12-31T23:59:59Z"),
    ],
)
def test_times_are_iso_in_utc(ms: int, text: str) -> None:
    assert iso(ms) == text


def test_the_series_of_an_entry_are_those_of_the_finding() -> None:
    key = SeriesKey(SeriesKind.POLARITY, "party=D", "check_out", label="spam")
    (alert,) = first(shifted(key=key)).body["alerts"]
    assert (alert["series"], alert["segment"]) == ("polarity", "party=D")
    assert (alert["probe"], alert["label"]) == ("check_out", "spam")
    assert COVERAGE.probe == alert["probe"]


def test_a_settled_shift_asks_to_be_accepted() -> None:
    history = run([shifted(0.2)] * 64)
    (message,) = last(history)
    assert message.body["event"] == "settled"
    assert message.body["status"] == "firing", "its incident is open"
    assert message.body["incident"] == history.alert.incident
    assert message.body["headline"] == (
        "Coverage of LF 'check_out' has settled at 20 %, where the baseline expects 8 %, for 64 "
        "windows. If this is the new normal, accept it as the baseline: "
        "`tidegauge baseline accept spam --from 2020-03-15T12:00:00Z`"
    )
    (alert,) = message.body["alerts"]
    assert (alert["state"], alert["reason"], alert["kind"]) == ("settled", "settled", "drift")
    assert len(message.dedup_key) <= 40


def test_what_fires_and_what_settles_in_one_window_are_two_messages() -> None:
    windows = [[shifted(0.2), quiet(key=BLIND_SPOT)]] * 63
    found = last(run([*windows, [shifted(0.2), shifted(0.3, key=BLIND_SPOT)]]))
    assert [message.body["event"] for message in found] == ["alert", "settled"]
    assert found[0].dedup_key != found[1].dedup_key


def test_a_reopening_is_no_message_and_neither_is_its_end() -> None:
    history = run([shifted(), *[quiet()] * 4, shifted(), *[quiet()] * 12])
    assert history.reasons[-2:] == ["reopened", "recovered"]
    told = [messages_of(step, Rule(), context(n)) for n, step in enumerate(history.steps)]
    assert [len(found) for found in told] == [1, 0, 0, 0, 1] + [0] * (len(told) - 5)


def test_the_end_of_a_data_gap_is_not_worded_like_the_gap() -> None:
    gap = {"partition": 0, "what": "day-1.jsonl was truncated", "key": "0", "lost": 3}
    fired, resolved = (
        notices.data_gap(status, "spam", **gap).body["headline"]  # type: ignore[arg-type]
        for status in (Status.FIRING, Status.RESOLVED)
    )
    assert fired == "Partition 0: day-1.jsonl was truncated"
    assert resolved == f"Data gap closed; reading continues. {fired}"
