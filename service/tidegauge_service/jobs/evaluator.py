"""Close windows, compare each with the baseline, and let alerts follow: one transaction each.

Exactly once and in order, whichever process does it: the evaluated cursor is locked from
taking a window to the commit, and everything that follows from the window is in that commit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import structlog

from tidegauge_alerts.lifecycle.advance import Advance, advance, together, withdraw
from tidegauge_alerts.messages.message import messages_of
from tidegauge_alerts.model import Alert, AlertState, Context, Rule, TransitionReason
from tidegauge_probes.counts import panes as counts_
from tidegauge_probes.counts.panes import PaneCounts
from tidegauge_probes.drift import comparison
from tidegauge_probes.drift.baseline import Baseline
from tidegauge_probes.drift.comparison import Detector
from tidegauge_probes.drift.scan import Past
from tidegauge_probes.errors import BaselineError
from tidegauge_probes.findings import Finding, SeriesKey
from tidegauge_probes.label_model import precision
from tidegauge_probes.label_model.precision import PairCounts
from tidegauge_probes.model import Layout
from tidegauge_service.baselines.live_windows import freeze
from tidegauge_service.candidates import proposal
from tidegauge_service.clock import Clock
from tidegauge_service.config.stream_file import StreamConfig
from tidegauge_service.jobs.explanation import Explainer
from tidegauge_service.jobs.first_baseline import learn
from tidegauge_service.jobs.window_precision import judge
from tidegauge_service.store import baselines as stored
from tidegauge_service.store import candidates, deployments
from tidegauge_service.store import streams as streams_
from tidegauge_service.store.alerting import alerts, outbox
from tidegauge_service.store.deployments import Deployment
from tidegauge_service.store.engine import Connection, Database
from tidegauge_service.store.ingest import commit
from tidegauge_service.store.states import WindowState
from tidegauge_service.store.streams import StreamRow
from tidegauge_service.store.windows import evaluation
from tidegauge_service.store.windows import precision as precisions

log = structlog.get_logger()

PROPOSED_AT_ONCE = 16
"""Candidates that are written at once: each may have a payload of a megabyte, or more."""

NO_BASELINE = ""
"""What stands for it in windows that are not compared."""


@dataclass(frozen=True)
class _Memory:
    """What the next window needs of those before it: ``recent``, the newest first."""

    past: Past
    recent: tuple[PairCounts, ...]


class Evaluator:
    """Evaluates the closed windows of one stream, each by the deployment that is live in it."""

    def __init__(
        self,
        config: StreamConfig,
        stream: StreamRow,
        database: Database,
        clock: Clock,
        *,
        url: str = "",
    ) -> None:
        self._config = config
        self._stream = stream
        self._database = database
        self._clock = clock
        self._url = url
        self._detector = Detector(config.alerts.budget)
        self._rule = Rule(
            for_windows=config.alerts.for_windows,
            budget=config.alerts.budget,
            receivers=tuple(config.alerts.receivers),
        )
        self._user_rules = config.alerts.user_rules
        self._deployment: Deployment | None = None
        self._layout = Layout((), (), ())
        self._baseline: Baseline | None = None
        self._ids: dict[SeriesKey, int] = {}
        self._memory: _Memory | None = None
        self._memory_until: int | None = None

    def tick(self) -> int:
        """Close what the watermark has passed and evaluate it; return the number of windows."""
        with self._database.write() as connection:
            commit.close_windows(connection, self._stream)
        evaluated = 0
        while self.evaluate_next():
            evaluated += 1
        return evaluated

    def evaluate_next(self) -> bool:
        """Evaluate the lowest closed window, if there is one.

        Raises BaselineError if the range of the baseline turns out to hold no records.
        """
        with self._database.write() as connection:
            start = evaluation.take_next(connection, self._stream)
            if start is None:
                return False
            known = deployments.of_stream(connection, self._stream.id)
            deployment = deployments.live_at(known, start)
            # What is remembered is true only of the deployment it is of, and if this window follows
            # on the last that was committed from here; else it is read again.
            same = deployment == self._deployment
            memory = self._memory if same and self._memory_until == start else None
            if not same:
                self._take_up(connection, deployment)
            self._deployment = self._memory = self._memory_until = None
            until = start + self._stream.window_ms
            found = evaluation.counts_between(connection, self._stream, start, until)
            counts = found.get(start) or self._nothing()
            memory = self._evaluate(connection, start, counts, deployment, memory)
            evaluation.finish(connection, self._stream, start)
            kept = self._config.samples.keep_windows * self._stream.window_ms
            evaluation.drop_samples(connection, self._stream, start - kept)
        self._deployment, self._memory, self._memory_until = deployment, memory, until
        return True

    def _take_up(self, connection: Connection, deployment: Deployment) -> None:
        """Turn to the deployment that is live in the window at hand."""
        self._stream = deployments.seen_from(self._stream, deployment)
        self._layout = streams_.layout_of(connection, deployment.probe_set)
        self._baseline = None

    def _nothing(self) -> PaneCounts:
        return counts_.empty(len(self._layout.probes), len(self._layout.classes))

    def _evaluate(
        self,
        connection: Connection,
        start: int,
        counts: PaneCounts,
        deployment: Deployment,
        memory: _Memory | None,
    ) -> _Memory | None:
        """Compare a window; return what the next one needs of it."""
        until = deployment.range_until_ms
        if deployment.baseline is None and until is not None and start < until:
            early = start < (deployment.range_from_ms or 0)
            state = WindowState.BEFORE if early else WindowState.BASELINE
            self._save_window(connection, start, counts, state, None)
            if state is WindowState.BASELINE:
                most, records = self._config.samples.each, counts.records
                precisions.keep_votes(connection, self._stream, start, records=records, most=most)
            self._end_alerts(connection, start)
            return None
        baseline = self._get_baseline(connection, deployment)
        if memory is None:
            past = evaluation.before(connection, self._stream, start, baseline)
            memory = _Memory(past, self._recent(connection, start, baseline, deployment))
        findings = comparison.compare(start, counts, baseline, self._detector, memory.past)
        state = WindowState.LEARNING if baseline.learning else WindowState.COMPARED
        self._save_window(connection, start, counts, state, baseline.id)
        evaluation.save_findings(connection, self._stream, findings, self._ids)
        past, recent = memory.past, memory.recent
        x, n = np.array([(f.x, f.n) for f in findings], dtype=np.int64).T
        if baseline.model is not None:
            recent = (PairCounts.of(counts), *recent)[: precision.MOST_WINDOWS]
            found = judge(start, baseline, baseline.model, precision.pooled(recent))
            precisions.save(connection, self._stream, found)
        by_key = {finding.key: finding for finding in findings}
        explainer = Explainer(baseline, by_key, past, x, n, recent)
        resolved = self._alert(connection, start, counts, explainer)
        past = past.then(start, x, n)
        past = past.since_resolved(start, [k in resolved for k in baseline.keys])
        if baseline.learning:
            until, now = start + self._stream.window_ms, self._clock()
            to, url = self._rule.receivers, self._url
            learn(connection, self._stream, deployment, baseline, until, now_ms=now, to=to, url=url)
        return _Memory(past, recent)

    def _recent(
        self, connection: Connection, start: int, baseline: Baseline, deployment: Deployment
    ) -> tuple[PairCounts, ...]:
        """Return the windows before *start* that a small one is added up with."""
        if baseline.model is None:
            return ()
        length = self._stream.window_ms
        since = start - (precision.MOST_WINDOWS - 1) * length
        since = max(since, deployment.from_ms, deployment.range_until_ms or 0)
        found = evaluation.counts_between(connection, self._stream, since, start)
        newest_first = range(start - length, since - 1, -length)
        return tuple(PairCounts.of(found.get(w) or self._nothing()) for w in newest_first)

    def _save_window(
        self,
        connection: Connection,
        start: int,
        counts: PaneCounts,
        state: WindowState,
        baseline: str | None,
    ) -> None:
        evaluation.save_window(
            connection,
            self._stream,
            start,
            state=state,
            baseline=baseline,
            records=counts.records,
            now_ms=self._clock(),
        )

    def _get_baseline(self, connection: Connection, deployment: Deployment) -> Baseline:
        """Return the deployment's baseline; fit it first if its range has just been passed."""
        if self._baseline is None:
            if deployment.baseline is None:
                self._baseline = self._fit(connection, deployment)
            else:
                self._baseline = stored.load(connection, deployment.baseline)
            self._ids = evaluation.series_ids(connection, self._stream, self._baseline.keys)
        return self._baseline

    def _fit(self, connection: Connection, deployment: Deployment) -> Baseline:
        """Freeze the baseline from the stream's own windows, and write their figures."""
        since, until = deployment.range_from_ms, deployment.range_until_ms
        if since is None or until is None:
            msg = f"stream '{self._stream.name}' has no baseline attached"
            raise BaselineError(msg)  # the pipeline attaches the other kinds before it starts
        fitted, panes = freeze(connection, self._stream, since, until, self._clock())
        precisions.drop_votes(connection, self._stream)
        deployments.attach(connection, self._stream, deployment, fitted.id)
        ids = evaluation.series_ids(connection, self._stream, fitted.keys)
        for start, pane in panes.items():
            if deployment.counts(start):  # else another deployment has judged it
                figures = comparison.describe(start, pane, fitted)
                evaluation.save_findings(connection, self._stream, figures, ids)
        log.info(
            "baseline_fitted",
            stream=self._stream.name,
            baseline=fitted.id,
            records=fitted.total.records,
            evaluation=len(fitted.starts),
            learning=fitted.learning,
            label_model=None if fitted.model is None else fitted.model.records,
        )
        return fitted

    def _alert(
        self,
        connection: Connection,
        start: int,
        counts: PaneCounts,
        explainer: Explainer,
    ) -> set[SeriesKey]:
        """Let alerts follow, and tell of them; return the series whose alerts have resolved."""
        baseline = explainer.baseline.id
        context = self._context(start, baseline, counts.records)
        since = start - self._rule.memory_windows * self._stream.window_ms
        before = alerts.known(connection, self._stream.id, since)
        after = explainer.explained(self._advance(before, explainer.findings, context), before)
        firing = _firing(before, after.alerts)
        proposed = self._propose(connection, start, counts, firing, baseline)
        self._tell(connection, after, context, proposed)
        over = [alert for alert in after.alerts if alert.state is AlertState.RESOLVED]
        return {alert.key for alert in over if not alert.rule}

    def _end_alerts(self, connection: Connection, start: int) -> None:
        """End the alerts of the deployment before: nothing will be compared with its baseline."""
        before = alerts.open_alerts(connection, self._stream.id)
        after = withdraw(before, TransitionReason.REDEPLOYED, start)
        self._tell(connection, after, self._context(start, NO_BASELINE), 0)

    def _context(self, start: int, baseline: str, records: int = 0) -> Context:
        return Context(
            stream=self._stream.name,
            window_start_ms=start,
            window_ms=self._stream.window_ms,
            probe_set=self._stream.probe_set,
            baseline=baseline,
            records=records,
        )

    def _tell(
        self, connection: Connection, after: Advance, context: Context, proposed: int
    ) -> None:
        """Save what became of the alerts, and tell of it."""
        alerts.save(connection, self._stream.id, after.alerts, after.transitions)
        to, now = self._rule.receivers, self._clock()
        for message in messages_of(after, self._rule, context, proposed, self._url):
            outbox.enqueue(connection, self._stream.id, to, message, now_ms=now)

    def _advance(
        self, before: Sequence[Alert], findings: Mapping[SeriesKey, Finding], context: Context
    ) -> Advance:
        """Let the scan's alerts follow, and those of each rule that people wrote."""
        of: dict[str, list[Alert]] = {}
        for alert in before:
            of.setdefault(alert.rule, []).append(alert)
        parts = [advance(of.pop("", ()), tuple(findings.values()), self._rule, context)]
        for rule in self._user_rules:
            found = rule.judge(findings, self._layout.classes)
            parts.append(advance(of.pop(rule.text, ()), found, rule.rule, context))
        gone = [alert for alerts in of.values() for alert in alerts]
        parts.append(withdraw(gone, TransitionReason.WITHDRAWN, context.window_start_ms))
        return together(parts)

    def _propose(
        self,
        connection: Connection,
        start: int,
        counts: PaneCounts,
        firing: Sequence[Alert],
        baseline: str,
    ) -> int:
        if not firing or not counts.records:
            return 0
        layout = self._layout
        kept = evaluation.samples(connection, self._stream, start)
        chosen = proposal.choose(kept, counts, layout, firing, self._config.samples.per_window)
        taken = [(p, sample) for p, sample in kept if (p, sample.offset) in chosen]
        for first in range(0, len(taken), PROPOSED_AT_ONCE):
            some = evaluation.with_payloads(
                connection, self._stream, taken[first : first + PROPOSED_AT_ONCE]
            )
            proposed = proposal.candidates(
                self._stream.name,
                some,
                chosen,
                layout,
                probe_set=self._stream.probe_set,
                baseline=baseline,
            )
            candidates.propose(connection, self._stream.id, proposed, self._clock())
        return len(taken)


def _firing(before: Sequence[Alert], changed: Sequence[Alert]) -> list[Alert]:
    """Return the alerts that are firing after this window."""
    latest = {alert.id: alert for alert in before} | {alert.id: alert for alert in changed}
    return [alert for alert in latest.values() if alert.state is AlertState.FIRING]
