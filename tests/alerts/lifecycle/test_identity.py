import re

from hypothesis import given

from tests.alerts.builders import BLIND_SPOT, COVERAGE, HOUR_MS, NOON_MS, fired, run, shifted
from tests.alerts.strategies import keys, names
from tidegauge_alerts.lifecycle.identity import digest, fingerprint, incident_of, occurrence
from tidegauge_probes.findings import SeriesKey, SeriesKind


def test_a_fingerprint_never_changes() -> None:
    """Stored alerts must be found again by any later version."""
    assert fingerprint("spam", COVERAGE) == "38e9087f52119c72345f4440"


def test_each_part_of_a_series_is_part_of_its_fingerprint() -> None:
    coverage = SeriesKind.COVERAGE
    different = [
        fingerprint("a", SeriesKey(coverage)),
        fingerprint("b", SeriesKey(coverage)),
        fingerprint("a", SeriesKey(SeriesKind.ERROR)),
        fingerprint("a", SeriesKey(coverage, segment="x")),
        fingerprint("a", SeriesKey(coverage, probe="x")),
        fingerprint("a", SeriesKey(coverage, other="x")),
        fingerprint("a", SeriesKey(coverage, label="x")),
    ]
    assert len(set(different)) == len(different)


@given(keys, keys, names, names)
def test_only_the_same_series_of_the_same_stream_share_a_fingerprint(
    one: SeriesKey, two: SeriesKey, a: str, b: str
) -> None:
    same = (a, one) == (b, two)
    assert (fingerprint(a, one) == fingerprint(b, two)) is same


def test_parts_do_not_run_together() -> None:
    assert digest("a", "bc") != digest("ab", "c")
    assert digest("1") != digest(1)


def test_ids_are_short_and_safe_in_addresses() -> None:
    (alert,) = fired(shifted(key=SeriesKey(SeriesKind.COVERAGE, "x/../\ud800", "é\n"))).alerts
    for name, longest in ((alert.id, 64), (alert.fingerprint, 40), (alert.incident, 64)):
        assert re.fullmatch(r"[0-9a-f-]+", name)
        assert len(name) <= longest


def test_a_series_that_shifts_again_is_another_alert_with_the_same_fingerprint() -> None:
    once = fingerprint("spam", COVERAGE)
    assert occurrence(once, NOON_MS) != occurrence(once, NOON_MS + HOUR_MS)


def test_alerts_that_open_together_are_one_incident() -> None:
    both = [shifted(), shifted(0.3, key=BLIND_SPOT)]
    later = [*both, shifted(key=SeriesKey(SeriesKind.COVERAGE, probe="later"))]
    alerts = run([both, both, both, later]).alerts.values()
    by_incident = {alert.incident: alert.opened_window_ms for alert in alerts}
    assert sorted(by_incident.values()) == [NOON_MS, NOON_MS + 3 * HOUR_MS]
    assert len(alerts) == 3


def test_incidents_of_two_streams_differ() -> None:
    assert incident_of("a", NOON_MS) != incident_of("b", NOON_MS)
