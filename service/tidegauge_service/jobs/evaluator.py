"""Evaluate closed windows, each in one transaction: count, compare, alert, propose, notify.

Exactly once and in order, whichever process does it: the evaluated cursor is locked from
taking a window to the commit, and everything that follows from the window is in that commit.
Each step is a module of ``jobs.evaluation``.
"""

from __future__ import annotations

from tidegauge_alerts.incidents.news import announced
from tidegauge_alerts.lifecycle.advance import withdraw
from tidegauge_alerts.model import Rule, TransitionReason
from tidegauge_probes.drift.baseline import Baseline
from tidegauge_probes.drift.comparison import Detector
from tidegauge_service.baselines import silent_rules
from tidegauge_service.config.stream_file import BaselineRange
from tidegauge_service.jobs.evaluation import comparison, history, range_baseline
from tidegauge_service.jobs.evaluation.alerts import (
    advance_alerts,
    context_of,
    firing,
    resolved_series,
)
from tidegauge_service.jobs.evaluation.comparison import compare
from tidegauge_service.jobs.evaluation.explanation import explain_alerts
from tidegauge_service.jobs.evaluation.first_baseline import learn
from tidegauge_service.jobs.evaluation.incidents import incidents
from tidegauge_service.jobs.evaluation.notification import notify
from tidegauge_service.jobs.evaluation.proposals import propose
from tidegauge_service.jobs.evaluation.window import ClosedWindow, count
from tidegauge_service.jobs.evaluation.window_history import WindowHistory
from tidegauge_service.store.alerting import alerts
from tidegauge_service.store.engine import Connection
from tidegauge_service.store.ingest import commit
from tidegauge_service.store.scope import StreamScope
from tidegauge_service.store.states import WindowState
from tidegauge_service.store.windows import evaluation, texts
from tidegauge_service.store.windows import forecast as forecasts

NO_BASELINE = ""
"""The baseline of the messages of a window that is not compared."""


class Evaluator:
    """Evaluates the closed windows of one stream, each by the deployment that is live in it."""

    def __init__(self, scope: StreamScope) -> None:
        config = scope.config.alerts
        self._scope = scope
        budget = scope.config.false_alarms
        self._detector = Detector(1_000 * budget.per_window(scope.stream.window_ms))
        self._rule = Rule(
            for_windows=config.for_windows,
            budget=self._detector.budget,
            receivers=scope.receivers,
        )
        self._history: WindowHistory | None = None
        """Of the window that was committed last from here."""

    def tick(self) -> int:
        """Close what the watermark has passed and evaluate it; return the number of windows."""
        with self._scope.database.write() as connection:
            commit.close_windows(connection, self._scope.stream)
        evaluated = 0
        while self.evaluate_next():
            evaluated += 1
        return evaluated

    def evaluate_next(self) -> bool:
        """Evaluate the lowest closed window, if there is one.

        Raises BaselineError if the range of the baseline turns out to hold no records.
        """
        stream, samples = self._scope.stream, self._scope.config.samples
        with self._scope.database.write() as connection:
            start = evaluation.take_next(connection, stream)
            if start is None:
                return False
            known, self._history = self._history, None  # until this window is committed
            window = count(connection, stream, start)
            after = None
            if window.range_state is None:
                after = self._evaluate(connection, window, known)
            else:
                self._keep_for_baseline(connection, window, window.range_state)
            texts.settle(connection, stream.id, start)
            evaluation.finish(connection, stream, start)
            kept_ms = samples.keep_windows * stream.window_ms
            evaluation.drop_samples(connection, stream, start - kept_ms)
        self._history = after
        return True

    def _evaluate(
        self, connection: Connection, window: ClosedWindow, known: WindowHistory | None
    ) -> WindowHistory:
        """Compare a window and let alerts follow; return the history of the next one."""
        scope, rule, samples = self._scope, self._rule, self._scope.config.samples
        before = self._before(connection, window, known)
        baseline = before.baseline

        compared = compare(window, before, self._detector)
        comparison.save(connection, compared, scope.clock())

        context = context_of(window, baseline.id)
        since = window.start - rule.memory_windows * scope.stream.window_ms
        remembered = alerts.known(connection, scope.stream.id, since)
        user_rules = scope.config.alerts.user_rules
        after = advance_alerts(remembered, compared, rule, user_rules, context)
        after = explain_alerts(after, remembered, compared)
        after = incidents(after, remembered, compared, context)

        now, most = scope.clock(), samples.per_window
        alight = firing(remembered, after.alerts)
        proposed = propose(connection, window, alight, baseline=baseline.id, most=most, now_ms=now)
        notify(connection, scope, after, rule=rule, context=context, proposed=proposed)

        if baseline.learning:
            learn(connection, scope, window, baseline)
        return compared.history.through(window, compared.x, compared.n, resolved_series(after))

    def _before(
        self, connection: Connection, window: ClosedWindow, known: WindowHistory | None
    ) -> WindowHistory:
        """Return the history of a window: what is known from here, or what the database has."""
        if known is None or not known.of_deployment(window.deployment):
            now, chosen = self._scope.clock(), self._scope.config.baseline
            balance = chosen.balance if isinstance(chosen, BaselineRange) else None
            baseline = range_baseline.load_or_fit(connection, window, now, balance)
            self._save_forecast(connection, window, baseline)
            return history.load(connection, window, baseline)
        if known.precedes(window):
            return known
        return history.load(connection, window, known.baseline, known.series_ids)

    def _save_forecast(
        self, connection: Connection, window: ClosedWindow, baseline: Baseline
    ) -> None:
        """Write how many false incidents to expect of windows compared with a baseline."""
        allowed = self._detector.alpha
        forecasts.save(
            connection,
            window.stream,
            baseline.id,
            budget=self._scope.config.false_alarms.text,
            allowed=allowed,
            expected=baseline.forecast.per_window(allowed),
            wandering=[str(key) for key in baseline.wandering],
            left_out=baseline.calibration.left_out,
            silent_rules=silent_rules.warn(
                window.stream.name, self._scope.config.alerts.user_rules, baseline
            ),
        )

    def _keep_for_baseline(
        self, connection: Connection, window: ClosedWindow, state: WindowState
    ) -> None:
        """Keep a window for the baseline; end the alerts, which nothing is compared with now."""
        scope, start = self._scope, window.start
        each = scope.config.samples.each
        range_baseline.keep(connection, window, state, each, scope.clock())
        opened = alerts.open_alerts(connection, scope.stream.id)
        after = announced(withdraw(opened, TransitionReason.REDEPLOYED, start), opened)
        context = context_of(window, NO_BASELINE)
        notify(connection, scope, after, rule=self._rule, context=context)
