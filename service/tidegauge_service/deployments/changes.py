"""Change the deployments of a stream: deploy, shadow, promote, roll back, accept a baseline.

Each is one transaction that takes effect from a window start F that no record has reached
(``deployments.begin``), or is refused (ChangeRefused) with nothing changed. The database alone
says what counts; workers find out by themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NoReturn

import structlog

from tidegauge_probes.labeling.probe_set import ProbeSet
from tidegauge_service.baselines.live_windows import freeze
from tidegauge_service.clock import to_iso
from tidegauge_service.errors import ChangeRefused
from tidegauge_service.store import baselines, deployments, probe_sets, streams
from tidegauge_service.store.alerting import alerts
from tidegauge_service.store.deployments import Author, Change, Deployment, New, Reference
from tidegauge_service.store.engine import Connection, Database
from tidegauge_service.store.streams import CLOSED, EVALUATED, Role, StreamRow

log = structlog.get_logger()


@dataclass(frozen=True)
class Wanted:
    """A ProbeSet that somebody wants to deploy; ``reference``: where workers load it from.

    ``only_from_ms``: the window it must begin with, because the live one cannot count another.
    """

    probe_set: ProbeSet
    reference: str
    compared: Reference = field(default_factory=Reference)
    only_from_ms: int | None = None

    @property
    def new(self) -> New:
        """What of it is written down."""
        return New(self.probe_set.id, self.reference, self.compared)


def deploy(database: Database, stream: StreamRow, wanted: Wanted, by: Author) -> Deployment:
    """Let a ProbeSet count, judge and alert from the next window on.

    It is compared with a baseline of its own, or with one of windows that it is to count yet.
    """
    with database.write() as connection:
        pending = _PendingChange.begin(connection, stream, by)
        if _same(pending.live, wanted.probe_set.id, wanted.compared):
            what = f"ProbeSet {wanted.probe_set.id} is already live, with the same baseline"
            _refuse(stream, what)
        pending.check_range(wanted.compared)
        if wanted.only_from_ms not in {None, pending.from_ms}:
            _refuse(stream, "records have just arrived for the LFs that this replaces: try again")
        probe_sets.keep_probe_set(connection, wanted.probe_set, by.now_ms)
        return pending.make_live(wanted.new, Change.DEPLOY)


def shadow(database: Database, stream: StreamRow, wanted: Wanted, by: Author) -> Deployment:
    """Let a ProbeSet count beside the live one, instead of the shadow there may be."""
    name = wanted.probe_set.id
    with database.write() as connection:
        pending = _PendingChange.begin(connection, stream, by)
        if name == pending.live.probe_set:
            _refuse(stream, f"ProbeSet {name} is live, so it already counts")
        if pending.shadow is not None and pending.shadow.probe_set == name:
            _refuse(stream, f"ProbeSet {name} is already the shadow")
        probe_sets.keep_probe_set(connection, wanted.probe_set, by.now_ms)
        pending.end(pending.shadow)
        return pending.add(wanted.new, Change.SHADOW)


def promote(
    database: Database,
    stream: StreamRow,
    by: Author,
    *,
    baseline: str | None = None,
) -> Deployment:
    """Make the shadow live.

    It is compared with *baseline* (a name or an id), else with the one that it was deployed with,
    else with one that is frozen from the closed windows it has counted.
    """
    with database.write() as connection:
        # Apart from the change itself: no worker has to wait while many windows are read.
        chosen = _shadow_of(connection, stream)
        given = baseline or chosen.baseline
        found = (
            _named(connection, stream, chosen, given)
            if given
            else _frozen(connection, stream, chosen, by.now_ms)
        )
    with database.write() as connection:
        pending = _PendingChange.begin(connection, stream, by)
        if pending.shadow != chosen:
            _refuse(stream, "someone else has just changed the shadow: check and try again")
        new = New(chosen.probe_set, chosen.reference, Reference(found))
        return pending.make_live(new, Change.PROMOTE)


def roll_back(database: Database, stream: StreamRow, by: Author) -> Deployment:
    """Deploy again, with its baseline, what was live before the present deployment."""
    with database.write() as connection:
        pending = _PendingChange.begin(connection, stream, by)
        before = previous(pending.known, pending.live)
        if before is None:
            _refuse(stream, "there is no other deployment that was live before this one")
        pending.check_range(before.compared)
        new = New(before.probe_set, before.reference, before.compared)
        return pending.make_live(new, Change.ROLLBACK)


def accept(
    database: Database,
    stream: StreamRow,
    by: Author,
    *,
    since_ms: int | None = None,
    until_ms: int | None = None,
    balance: Mapping[str, float] | None = None,
) -> Deployment:
    """Make what the live deployment has counted its baseline, from the next window on.

    The windows in [since, until) make it; given none, those since the oldest open alert opened,
    as far as windows are evaluated. *balance*: the share of each class in them, if you know them.
    BaselineError if it has counted nothing then, or *balance* is none.
    """
    with database.write() as connection:
        chosen = deployments.current(deployments.of_stream(connection, stream.id), Role.LIVE)
        assert chosen is not None  # noqa: S101  (a stream is made with one)
        through = streams.cursor(connection, stream.id, EVALUATED)
        since = _onset(connection, stream) if since_ms is None else since_ms
        until = through if until_ms is None else until_ms
        if until_ms is not None and since >= until_ms:
            _refuse(stream, f"from ({to_iso(since)}) must be before until ({to_iso(until_ms)})")
        if through is None or until is None or until > through:
            _refuse(stream, f"its windows are evaluated through {_said(through)} only")
        for name, moment in (("from", since), ("until", until)):
            if moment % stream.window_ms:
                _refuse(stream, f"{name} {to_iso(moment)} is not the start of a window")
        seen = deployments.seen_from(stream, chosen)
        before = baselines.load(connection, chosen.baseline) if chosen.baseline else None
        found, _ = freeze(connection, seen, since, until, before, balance=balance)
        baselines.save(connection, found, None, by.now_ms)
    with database.write() as connection:
        pending = _PendingChange.begin(connection, stream, by)
        if pending.live != chosen:
            _refuse(
                stream, "someone else has just changed the live deployment: check and try again"
            )
        if found.id == chosen.baseline:
            _refuse(stream, f"{found.id} is its baseline already")
        new = New(chosen.probe_set, chosen.reference, Reference(found.id))
        return pending.make_live(new, Change.ACCEPT)


def _onset(connection: Connection, stream: StreamRow) -> int:
    """Return when the oldest alert that is open now opened, or came to its level.

    A rule that somebody wrote is broken whatever the baseline is: its alerts do not count.
    """
    opened = [
        alert.opened_window_ms if alert.settled is None else alert.settled.from_ms
        for alert in alerts.open_alerts(connection, stream.id)
        if not alert.rule
    ]
    if not opened:
        _refuse(stream, "no alert is open: give the time from which windows are normal (`from`)")
    return min(opened)


def _said(ms: int | None) -> str:
    return "none" if ms is None else to_iso(ms)


def end_shadow(database: Database, stream: StreamRow, by: Author) -> Deployment:
    """Let the shadow count no more, from the next window on; return what it was."""
    with database.write() as connection:
        pending = _PendingChange.begin(connection, stream, by)
        chosen = _shadow_of(connection, stream)
        pending.end(chosen)
    log.info("shadow_ended", stream=stream.name, probe_set=chosen.probe_set, by=by.name)
    return replace(chosen, until_ms=pending.from_ms, ended_ms=by.now_ms, ended_by=by.name)


def previous(known: Sequence[Deployment], live: Deployment) -> Deployment | None:
    """Return the last other deployment that was live before, if its windows were any."""
    before = (d for d in reversed(known) if d.id < live.id and d.role == Role.LIVE and d.was_used)
    return next((d for d in before if not _same(d, live.probe_set, live.compared)), None)


@dataclass(frozen=True)
class _PendingChange:
    """A change that is being made, alone."""

    connection: Connection
    stream: StreamRow
    by: Author
    from_ms: int
    known: Sequence[Deployment]

    @classmethod
    def begin(cls, connection: Connection, stream: StreamRow, by: Author) -> _PendingChange:
        from_ms = deployments.begin(connection, stream)
        known = deployments.of_stream(connection, stream.id)  # under its lock: the last word
        return cls(connection, stream, by, from_ms, known)

    @property
    def live(self) -> Deployment:
        found = deployments.current(self.known, Role.LIVE)
        assert found is not None  # noqa: S101  (a stream is made with one)
        return found

    @property
    def shadow(self) -> Deployment | None:
        return deployments.current(self.known, Role.SHADOW)

    def end(self, deployment: Deployment | None) -> None:
        if deployment is not None:
            deployments.end(self.connection, deployment, self.from_ms, self.by)

    def add(self, new: New, change: Change) -> Deployment:
        from_ms, by = self.from_ms, self.by
        log.info(
            "deployment_changed",
            stream=self.stream.name,
            change=str(change),
            probe_set=new.probe_set,
            from_window=to_iso(from_ms),
            by=by.name,
        )
        return deployments.add(self.connection, self.stream, new, change, from_ms=from_ms, by=by)

    def make_live(self, new: New, change: Change) -> Deployment:
        """Replace the live deployment; a ProbeSet that is live is no shadow beside itself."""
        self.end(self.live)
        if self.shadow is not None and self.shadow.probe_set == new.probe_set:
            self.end(self.shadow)
        return self.add(new, change)

    def check_range(self, compared: Reference) -> None:
        """Refuse a deployment that could be compared with nothing."""
        since = compared.range[0] if compared.range else None
        if compared.baseline is None and (since is None or since < self.from_ms):
            _refuse(
                self.stream,
                f"the new ProbeSet has no baseline, and counts only windows from "
                f"{to_iso(self.from_ms)} on. Fit one with its LFs (`tidegauge baseline fit`, then "
                "--baseline NAME), run it as a shadow and promote it later, or set `baseline.from` "
                "in the stream file to that time or later",
            )


def _same(deployment: Deployment, probe_set: str, compared: Reference) -> bool:
    if deployment.probe_set != probe_set:
        return False
    known = deployment.baseline is not None or compared.baseline is not None
    return deployment.baseline == compared.baseline if known else deployment.compared == compared


def _shadow_of(connection: Connection, stream: StreamRow) -> Deployment:
    found = deployments.current(deployments.of_stream(connection, stream.id), Role.SHADOW)
    if found is None:
        _refuse(stream, "there is no shadow. To start one: `tidegauge probes shadow`")
    return found


def _named(connection: Connection, stream: StreamRow, deployment: Deployment, name: str) -> str:
    found = baselines.find(connection, name)
    baselines.check(
        found, stream=stream.name, probe_set=deployment.probe_set, window_ms=stream.window_ms
    )
    return found.id


def _frozen(connection: Connection, stream: StreamRow, deployment: Deployment, now_ms: int) -> str:
    """Freeze a baseline from what the shadow has counted, as far as windows are closed."""
    closed = streams.cursor(connection, stream.id, CLOSED)
    if closed is None or closed <= deployment.from_ms:
        _refuse(
            stream,
            "the shadow has no closed window to freeze a baseline from: wait for one, or give "
            "one that was fitted with its LFs (`tidegauge baseline fit`, then --baseline NAME)",
        )
    seen = deployments.seen_from(stream, deployment)
    found, _ = freeze(connection, seen, deployment.from_ms, closed)
    baselines.save(connection, found, None, now_ms)
    return found.id


def _refuse(stream: StreamRow, why: str) -> NoReturn:
    msg = f"stream '{stream.name}': {why}"
    raise ChangeRefused(msg)
