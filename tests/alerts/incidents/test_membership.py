"""Which alerts are one incident."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from tests.alerts.builders import BLIND_SPOT, HOUR_MS, NOON_MS, context, quiet, shifted
from tidegauge_alerts.incidents.incident import Incident, incidents_of
from tidegauge_alerts.incidents.membership import grouped
from tidegauge_alerts.incidents.news import announced
from tidegauge_alerts.lifecycle.advance import advance
from tidegauge_alerts.messages.message import notify_worthy
from tidegauge_alerts.model import Alert, AlertState, Rule, Severity, TransitionReason
from tidegauge_probes.findings import Finding, Kinship, SeriesKey, SeriesKind

SAME, DIFFERENT, UNKNOWN = Kinship.SAME, Kinship.DIFFERENT, Kinship.UNKNOWN


def lf(name: str, segment: str = "_all") -> SeriesKey:
    return SeriesKey(SeriesKind.COVERAGE, segment, name)


class Stream:
    """A stream whose windows are evaluated one after the other."""

    def __init__(
        self, kin: Mapping[frozenset[SeriesKey], Kinship] | None = None, other: Kinship = DIFFERENT
    ) -> None:
        self.alerts: dict[str, Alert] = {}
        self.told: list[tuple[int, str, TransitionReason]] = []
        """Hour, incident, reason of what receivers hear."""
        self._kin, self._other, self._hour = dict(kin or {}), other, 0

    def window(self, *findings: Finding) -> Stream:
        at, before = context(self._hour), list(self.alerts.values())
        found = [replace(f, window_start_ms=NOON_MS + self._hour * HOUR_MS) for f in findings]
        step = advance(before, found, Rule(), at)
        step = announced(grouped(step, before, self._kinship, at), before)
        self.alerts |= {alert.id: alert for alert in step.alerts}
        self.told += [
            (self._hour, self.alerts[t.alert_id].incident, t.reason)
            for t in step.transitions
            if notify_worthy(t)
        ]
        self._hour += 1
        return self

    def _kinship(self, one: SeriesKey, other: SeriesKey) -> Kinship:
        return self._kin.get(frozenset({one, other}), self._other)

    @property
    def incidents(self) -> list[Incident]:
        return incidents_of(self.alerts.values())

    @property
    def reasons(self) -> list[str]:
        return [str(reason) for _, _, reason in self.told]


def pairs(
    kinship: Kinship, *of: tuple[SeriesKey, SeriesKey]
) -> dict[frozenset[SeriesKey], Kinship]:
    return {frozenset(pair): kinship for pair in of}


A, B, C, D = lf("a"), lf("b"), lf("c"), lf("d")


def test_kin_are_one_incident_and_one_message() -> None:
    stream = Stream(pairs(SAME, (A, B), (A, C)))
    stream.window(shifted(key=A, rank=-90), shifted(key=B, rank=-20), shifted(key=C, rank=-30))
    [incident] = stream.incidents
    assert [alert.key for alert in incident.alerts] == [A, C, B]
    assert [alert.key for alert in incident.roots] == [A]
    assert stream.reasons == ["confirmed"]
    assert incident.headline.endswith(", with 2 more series")


def test_a_weaker_series_may_tie_stronger_ones_together() -> None:
    """The blind spot is told by neither LF, but both are diluted by it."""
    stream = Stream(pairs(SAME, (A, BLIND_SPOT), (B, BLIND_SPOT)))
    stream.window(
        shifted(key=A, rank=-90), shifted(key=B, rank=-80), shifted(0.3, key=BLIND_SPOT, rank=9.0)
    )
    [incident] = stream.incidents
    assert incident.root.key == A


def test_other_records_are_another_incident_though_at_the_same_moment() -> None:
    stream = Stream().window(shifted(key=A), shifted(0.3, key=B))
    assert len(stream.incidents) == 2
    assert stream.reasons == ["confirmed", "confirmed"]


@pytest.mark.parametrize(("hours", "incidents"), [(0, 1), (1, 1), (4, 2)])
def test_where_the_records_cannot_tell_the_moment_does(hours: int, incidents: int) -> None:
    stream = Stream(other=UNKNOWN).window(shifted(key=A, rank=-90))
    for _ in range(hours - 1):
        stream.window(shifted(key=A), quiet(key=B))
    if hours:
        stream.window(shifted(key=A), shifted(key=B))
    else:
        stream = Stream(other=UNKNOWN).window(shifted(key=A), shifted(key=B))
    assert len(stream.incidents) == incidents


def test_a_sum_began_as_long_ago_as_it_has_windows() -> None:
    stream = Stream(other=UNKNOWN).window(shifted(key=A))
    for _ in range(11):
        stream.window(shifted(key=A), quiet(key=B))
    stream.window(shifted(key=A), shifted(key=B, scale=13, share=0.05))
    [incident] = stream.incidents
    assert [alert.key for alert in incident.children] == [B]
    assert stream.reasons == ["confirmed"], "a late-comer joins in silence"


def test_three_lfs_that_die_at_once_have_one_cause_and_two_have_not() -> None:
    dead = [shifted(key=key, rank=-90 + n) for n, key in enumerate((A, B, C))]
    blind = shifted(0.2, key=BLIND_SPOT, rank=10.0, effect=2.9)
    assert len(Stream().window(*dead, blind).incidents) == 1
    assert len(Stream().window(*dead[:2]).incidents) == 2
    risen = replace(shifted(0.3, key=D, rank=50.0), effect=4.9)
    assert len(Stream().window(*dead, risen).incidents) == 2, "it went the other way"


def test_what_follows_from_other_series_is_no_cause_of_its_own() -> None:
    overlap = SeriesKey(SeriesKind.OVERLAP, probe="z")
    stream = Stream().window(shifted(key=A))
    for _ in range(5):
        stream.window(shifted(key=A), quiet(key=overlap))
    stream.window(shifted(key=A), shifted(key=overlap, rank=-1e6))
    [incident] = stream.incidents
    assert incident.root.key == A


def test_a_graver_late_comer_is_told() -> None:
    grave = shifted(0.5, key=B, effect=11.0)
    mild = shifted(0.1, key=A, effect=1.3)
    stream = Stream(pairs(SAME, (A, B))).window(mild, quiet(key=B)).window(mild, grave)
    [incident] = stream.incidents
    assert incident.severity is Severity.CRITICAL
    assert stream.reasons == ["confirmed", "confirmed"]


def test_a_drift_is_no_graver_than_a_spike() -> None:
    stream = Stream()
    for _ in range(20):
        stream.window(shifted(key=A))
    assert stream.reasons == ["confirmed"]


def test_the_end_is_told_when_the_last_of_them_is_back() -> None:
    stream = Stream(pairs(SAME, (A, B))).window(shifted(key=A, rank=-90), shifted(key=B))
    for _ in range(6):
        stream.window(quiet(key=A), shifted(key=B))
    [incident] = stream.incidents
    assert incident.root.state is AlertState.RESOLVED
    assert incident.state is AlertState.FIRING
    assert stream.reasons == ["confirmed"]
    for _ in range(6):
        stream.window(quiet(key=A), quiet(key=B))
    assert stream.incidents[0].state is AlertState.RESOLVED
    assert stream.reasons == ["confirmed", "recovered"]


@pytest.mark.parametrize("rank", [1.0, 99.0])
def test_a_child_that_moves_on_after_its_root_is_an_incident_of_its_own(rank: float) -> None:
    carrier, child = (shifted(0.1, key=key, effect=1.3, rank=r) for key, r in ((B, 6.0), (C, 5.0)))
    stream = Stream(other=SAME).window(shifted(key=A, rank=-90), carrier, child)
    for _ in range(6):
        stream.window(quiet(key=A), carrier, child)
    stream.window(quiet(key=A), carrier, shifted(0.5, key=C, effect=11.0, rank=rank))
    by_root = {incident.root.key: incident for incident in stream.incidents}
    assert [alert.key for alert in by_root[A].alerts] == [A, B]
    assert [alert.key for alert in by_root[C].alerts] == [C]
    assert stream.told[-1] == (7, by_root[C].id, TransitionReason.ESCALATED)


def test_an_incident_has_the_same_name_whoever_evaluates_it() -> None:
    one, other = (Stream().window(shifted(key=A)).incidents[0].id for _ in range(2))
    assert one == other
    assert one != Stream().window(quiet(key=A)).window(shifted(key=A)).incidents[0].id
