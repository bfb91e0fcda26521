"""The experiments: each returns figures as plain data, the same for the same seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np

from benchmarks._timing import QUICK, say
from benchmarks._workers import spread
from benchmarks.detection import nulls, real, traffic
from benchmarks.detection.ours import Tidegauge, Windows, fit, followed, incidents, rows_of
from benchmarks.detection.real import VotedRecords
from benchmarks.detection.rules import TEXTBOOK
from benchmarks.detection.scoring import (
    HORIZON,
    NONE_YET,
    QUIET,
    Delays,
    Mask,
    PerThousand,
    delay,
    episodes,
    median,
    threshold_for,
)
from benchmarks.detection.traffic import CLIMATES, OF_EACH, RATES, SHIFTS, Floats, Traffic, World
from tidegauge_alerts.model import AlertState
from tidegauge_probes.drift.baseline import Baseline

CALIBRATION: Final = 336
RECORDS: Final = 1_000
SIZES: Final = (200, 1_000, 10_000)
RUN_IN: Final = 24
"""Quiet windows between calibration and shift."""

LIVE: Final = 1_000
"""Quiet windows after each calibration, in which every onset is false."""

QUIET_RUNS: Final = 2 if QUICK else 10
RUNS: Final = 6 if QUICK else 24
HEADLINE_RUNS: Final = 20 if QUICK else 100
HEADLINE: Final = ("+25 %", "+50 %")
HEADLINE_LF: Final = OF_EACH
"""The first LF of 5 %, at 1,000 records a window."""

NAMES: Final = {0.005: ".5 %", 0.05: "5 %", 0.30: "30 %"}


@dataclass(frozen=True)
class Setting:
    """A seed, and which quiet traffic."""

    seed: int
    climate: str = "overdispersed"
    records: int = RECORDS
    calibration: int = CALIBRATION
    incident: bool = False

    def quiet(self, run: int, live: int) -> tuple[World, np.random.Generator]:
        """Return a quiet world of calibration and *live* windows, and what to count it with."""
        rng = traffic.seeded(self.seed, self.climate, self.records, run)
        windows = self.calibration + live
        world = traffic.world(rng, CLIMATES[self.climate], windows, self.records)
        if self.incident:
            world = traffic.with_incident(world, self.calibration)
        return world, rng

    def counted(self, run: int) -> tuple[Traffic, Traffic]:
        """Return calibration and live windows."""
        world, rng = self.quiet(run, LIVE)
        counts = world.count(rng)
        return counts[: self.calibration], counts[self.calibration :]


# -- False alarms -----------------------------------------------------------------------------


def quiet_tidegauge(setting: Setting, budget: float, runs: int) -> dict[str, Any]:
    """Return how often alerts open in quiet traffic, through the whole lifecycle."""
    return _pooled(spread(partial(_quiet_run, setting, budget), range(runs)))


def _quiet_run(setting: Setting, budget: float, run: int) -> tuple[PerThousand, PerThousand]:
    history, live = setting.counted(run)
    opened = Tidegauge(budget).alarms(history, live)
    # What is open is one episode until it resolves, so no gap is bridged here.
    return _onsets(opened, quiet=1)


def quiet_rule(setting: Setting, rule: str, runs: int) -> dict[str, Any]:
    """Return the same of a textbook rule, whose alarms have no state."""
    return _pooled(spread(partial(_quiet_rule_run, setting, rule), range(runs)))


def _quiet_rule_run(setting: Setting, rule: str, run: int) -> tuple[PerThousand, PerThousand]:
    history, live = setting.counted(run)
    return _onsets(TEXTBOOK[rule].score(history, live) > TEXTBOOK[rule].threshold)


def _onsets(alarms: Mask, quiet: int = QUIET) -> tuple[PerThousand, PerThousand]:
    """Return onsets, and windows in alarm."""
    windows = len(alarms)
    in_alarm = int(alarms.any(axis=1).sum())
    return PerThousand(episodes(alarms, quiet), windows), PerThousand(in_alarm, windows)


def _pooled(runs: Sequence[tuple[PerThousand, PerThousand]]) -> dict[str, Any]:
    onsets = sum((of for of, _ in runs), NONE_YET)
    in_alarm = sum((of for _, of in runs), NONE_YET)
    return onsets.as_json() | {"in_alarm": round(in_alarm.rate, 1)}


def false_alarms(seed: int, budget: float) -> dict[str, Any]:
    """Return, for each kind of quiet traffic and each contestant, the false onsets."""
    found: dict[str, Any] = {}
    for climate in CLIMATES:
        setting = Setting(seed, climate)
        entry = {"tidegauge": quiet_tidegauge(setting, budget, QUIET_RUNS)}
        entry |= {name: quiet_rule(setting, name, QUIET_RUNS) for name in TEXTBOOK}
        found[climate] = entry
        say(f"quiet, {climate}: {entry['tidegauge']}")
    return found


def calibrations(seed: int, budget: float) -> dict[str, Any]:
    """Return tidegauge's false onsets by what it was calibrated on, and by volume."""
    settings = {
        f"{climate}, {windows} calibration windows": Setting(seed, climate, calibration=windows)
        for windows in (48, 168)
        for climate in ("overdispersed", "season", "stress")
    }
    settings |= {
        f"{climate}, an incident in the calibration": Setting(seed, climate, incident=True)
        for climate in ("overdispersed", "season")
    }
    settings |= {
        f"{climate}, {records:,} records a window": Setting(seed, climate, records=records)
        for records in (200, 10_000)
        for climate in ("overdispersed", "season")
    }
    runs = max(1, QUIET_RUNS // 2)
    found = {name: quiet_tidegauge(setting, budget, runs) for name, setting in settings.items()}
    for name, figures in found.items():
        say(f"quiet, {name}: {figures}")
    return found


# -- Nulls that are hard to stay quiet in ------------------------------------------------------

NULL_RUNS: Final = 1 if QUICK else 4
REAL_RUNS: Final = 1 if QUICK else 2
REAL_CALIBRATIONS: Final = (168, 48)


@dataclass(frozen=True)
class Quiet:
    """What opened in quiet windows, and what the baselines' own calibrations had predicted."""

    onsets: PerThousand = NONE_YET
    predicted: float = 0.0

    def __add__(self, other: Quiet) -> Quiet:
        """Return both together."""
        return Quiet(self.onsets + other.onsets, self.predicted + other.predicted)

    @classmethod
    def of(cls, baseline: Baseline, windows: Windows, budget: float) -> Quiet:
        """Follow windows in which every alert is false."""
        onsets = incidents(baseline, windows, budget)
        rate = baseline.forecast.per_window(budget / 1000)
        return cls(onsets, (rate or 0.0) * onsets.windows)

    def as_json(self) -> dict[str, Any]:
        """Return the figures for the last line."""
        rate = 1000 * self.predicted / max(self.onsets.windows, 1)
        return self.onsets.as_json() | {"predicted": round(rate, 2)}


def hard_nulls(seed: int, budget: float) -> dict[str, Any]:
    """Return false onsets, found and predicted, in traffic with heavy tails and long memory."""
    found: dict[str, Any] = {}
    for name, null in nulls.NULLS.items():
        for calibration in null.calibrations:
            work = partial(_null_run, seed, budget, name, calibration)
            total = sum(spread(work, range(NULL_RUNS)), Quiet())
            found[f"{name}, {calibration} windows"] = total.as_json()
            say(f"null, {name}, {calibration}: {total.as_json()}")
    return found


def _null_run(seed: int, budget: float, name: str, calibration: int, run: int) -> Quiet:
    rng = nulls.seeded(seed, name, calibration, run)
    null = nulls.NULLS[name]
    counts = null.draw(rng, calibration + LIVE)
    baseline = fit(counts[:calibration], null.civil)
    return Quiet.of(baseline, rows_of(counts[calibration:]), budget)


def real_records(seed: int, budget: float) -> dict[str, Any]:
    """Return the same in real records, permuted; empty where there are none (``real.DATA``)."""
    found: dict[str, Any] = {}
    sets = real.sets()
    for calibration in REAL_CALIBRATIONS if sets else ():
        cases = [(records, run) for records in sets.values() for run in range(REAL_RUNS)]
        runs = spread(partial(_real_run, seed, budget, calibration), cases)
        for name, records in sets.items():
            of_set = [quiet for (of, _), quiet in zip(cases, runs, strict=True) if of is records]
            total = sum(of_set, Quiet())
            found[f"{name}, {calibration} windows"] = total.as_json()
            say(f"real, {name}, {calibration}: {total.as_json()}")
        found[f"all, {calibration} windows"] = sum(runs, Quiet()).as_json()
    return found


def _real_run(seed: int, budget: float, calibration: int, case: tuple[VotedRecords, int]) -> Quiet:
    records, run = case
    windows = list(records.permuted(seed, run))
    history, live = windows[:calibration], windows[calibration:][:LIVE]
    return Quiet.of(real.fit(records, history), live, budget)


# -- Delays -----------------------------------------------------------------------------------


def first_alert(history: Traffic, live: Traffic, series: int, budget: float) -> int | None:
    """Return windows from the shift to the series' alert, None if there is none.

    An alert that was open before the shift, falsely, does not count; the next one does.
    """
    return _first_alert(fit(history), live, series, budget)


def _first_alert(baseline: Baseline, live: Traffic, series: int, budget: float) -> int | None:
    for w, alerts in enumerate(followed(baseline, live, budget)):
        if w >= RUN_IN and any(
            a.key.probe == f"lf{series}" and a.opened_window_ms >= live.starts[RUN_IN]
            for a in alerts
        ):
            return w - RUN_IN + 1
    return None


def shifted(setting: Setting, run: int, shift: str, series: int) -> tuple[Traffic, Traffic]:
    """Return calibration and live windows; the shift begins after the live windows' run-in."""
    world, rng = setting.quiet(run, RUN_IN + HORIZON)
    moved = world.shifted(series, SHIFTS[shift](HORIZON))
    counts = moved.count(rng)
    return counts[: setting.calibration], counts[setting.calibration :]


def delays(setting: Setting, shift: str, coverage: int, budget: float, runs: int) -> Delays:
    """Return tidegauge's delays for one shift of one LF of a coverage."""
    work = partial(_delay_run, setting, shift, coverage * OF_EACH, budget)
    return Delays(tuple(spread(work, range(runs))))


def _delay_run(setting: Setting, shift: str, series: int, budget: float, run: int) -> int | None:
    return first_alert(*shifted(setting, run, shift, series), series, budget)


def found_table(seed: int, budget: float) -> dict[str, Any]:
    """Return the table of shifts by volume and coverage."""
    table: dict[str, Any] = {}
    for records in SIZES:
        setting = Setting(seed, records=records)
        for c, coverage in enumerate(traffic.COVERAGES):
            entry = {name: delays(setting, name, c, budget, RUNS).as_json() for name in SHIFTS}
            table[f"{records:,}, {NAMES[coverage]}"] = entry
            say(f"{records} records, {NAMES[coverage]}: {entry}")
    return table


def other_series(seed: int, budget: float) -> dict[str, Any]:
    """Return delays of a pair's agreement (.9 → .75) and of the blind spot (15 → 18 %)."""
    found: dict[str, Any] = {}
    for records in SIZES:
        setting = Setting(seed, records=records)
        for overlap in (0.09, 0.015, 0.0025):
            delays_ = _of_last(setting, budget, overlap)
            found[f"agreement, overlap {overlap:.2%}, {records:,}"] = delays_.as_json()
        found[f"blind spot, {records:,}"] = _of_last(setting, budget, None).as_json()
        say(f"pairs and blind spot, {records} records: {found}")
    return found


def _of_last(setting: Setting, budget: float, overlap: float | None) -> Delays:
    """Return the delays of one more series: a pair of that overlap, or the blind spot."""
    return Delays(tuple(spread(partial(_of_last_run, setting, budget, overlap), range(RUNS))))


def _of_last_run(setting: Setting, budget: float, overlap: float | None, run: int) -> int | None:
    world, rng = setting.quiet(run, RUN_IN + HORIZON)
    if overlap is None:
        world, factor = traffic.with_blind_spot(rng, world, 0.15), 0.18 / 0.15
    else:
        world, factor = traffic.with_pair(rng, world, overlap, 0.9), 0.75 / 0.9
    counts = world.shifted(len(RATES), np.full(HORIZON, factor)).count(rng)
    history, live = counts[: setting.calibration], counts[setting.calibration :]
    return first_alert(history, live, len(RATES), budget)


# -- Opens and closes -------------------------------------------------------------------------

INCIDENT, AFTER = 24, 72
"""Windows of an incident, and after it."""


def episodes_of_incidents(seed: int, budget: float) -> dict[str, Any]:
    """Return how often one incident opens its series' alert, and when that closes."""
    found: dict[str, Any] = {}
    for climate in ("overdispersed", "season"):
        for shift in ("+50 %", "+100 %", "−50 %", "dead"):
            entry = _incidents(Setting(seed, climate), shift, budget)
            found[f"{climate}, {shift}"] = entry
            say(f"incidents, {climate}, {shift}: {entry}")
    return found


def _incidents(setting: Setting, shift: str, budget: float) -> dict[str, Any]:
    runs = spread(partial(_incident_run, setting, shift, budget), range(RUNS))
    opens = [opened for opened, _ in runs if opened]
    closes = [float(closed) for opened, closed in runs if opened and closed is not None]
    return {
        "found": len(opens),
        "opens_per_incident": round(float(np.mean(opens)), 3) if opens else None,
        "windows_to_close": median(closes),
        "closed": len(closes),
    }


def _incident_run(setting: Setting, shift: str, budget: float, run: int) -> tuple[int, int | None]:
    series = (1 + run % 2) * OF_EACH  # LFs of 5 and of 30 %
    world, rng = setting.quiet(run, RUN_IN + INCIDENT + AFTER)
    factors = np.concatenate([SHIFTS[shift](INCIDENT), np.ones(AFTER)])
    counts = world.shifted(series, factors).count(rng)
    return _of_series(counts, setting.calibration, series, budget)


def _of_series(
    counts: Traffic, calibration: int, series: int, budget: float
) -> tuple[int, int | None]:
    """Return how many alerts the incident opened, and windows from its end to the last close."""
    history, live = counts[:calibration], counts[calibration:]
    begin, end = live.starts[RUN_IN], live.starts[RUN_IN + INCIDENT]
    opened: set[str] = set()
    closed: int | None = None
    for w, alerts in enumerate(followed(fit(history), live, budget)):
        for alert in alerts:
            if alert.key.probe != f"lf{series}" or alert.opened_window_ms < begin:
                continue
            opened.add(alert.id)
            if alert.state is AlertState.RESOLVED and live.starts[w] >= end:
                closed = w - (RUN_IN + INCIDENT) + 1
    return len(opened), closed


# -- Matched ----------------------------------------------------------------------------------

BUDGETS: Final = (0.5, 1.0, 2.0) if QUICK else (0.1, 0.25, 0.5, 1.0, 1.15, 1.3, 2.0, 4.0)
ALLOWED: Final = 1.0
"""False episodes per 1,000 windows at which contestants are compared."""

MATCHED: Final = {
    "z / χ² p < .05": "z / χ²",
    "mean ± 3 SD": "mean ± k·SD",
    "Jensen–Shannon ≥ .1": "Jensen–Shannon",
    "PSI ≥ .2": "PSI",
    "CUSUM k = .5, h = 5": "CUSUM",
    "GLR, ln(1000 m)": "GLR",
}
RATES_OF_CURVES: Final = (0.3, 1.0, 3.0, 10.0, 30.0)


def matched(seed: int, _budget: float) -> dict[str, Any]:
    """Return delays against false onsets: tidegauge by its budget, rules by their thresholds."""
    setting = Setting(seed)
    false = {budget: quiet_tidegauge(setting, budget, QUIET_RUNS) for budget in BUDGETS}
    quiet = spread(partial(_scores, setting), range(QUIET_RUNS))
    found: dict[str, Any] = {}
    for shift in HEADLINE:
        cases = spread(partial(_matched_run, setting, shift, BUDGETS), range(HEADLINE_RUNS))
        curves = {
            "tidegauge": [
                _by_budget(b, false[b], [delays_[i] for delays_, _ in cases])
                for i, b in enumerate(BUDGETS)
            ]
        }
        for name, label in MATCHED.items():
            curves[label] = _curve([of[name] for of in quiet], [after[name] for _, after in cases])
        found[shift] = curves
        say(f"matched, {shift}: {curves}")
    return found


def _scores(setting: Setting, run: int) -> dict[str, Floats]:
    pair = setting.counted(run)
    return {name: TEXTBOOK[name].score(*pair) for name in MATCHED}


def _matched_run(
    setting: Setting, shift: str, budgets: Sequence[float], run: int
) -> tuple[list[int | None], dict[str, Floats]]:
    """Return tidegauge's delay at each budget, and each rule's scores after the shift."""
    history, live = shifted(setting, run, shift, HEADLINE_LF)
    baseline = fit(history)
    found = [_first_alert(baseline, live, HEADLINE_LF, budget) for budget in budgets]
    scores = {name: TEXTBOOK[name].score(history, live) for name in MATCHED}
    return found, {name: of[RUN_IN:, HEADLINE_LF] for name, of in scores.items()}


def _by_budget(
    budget: float, false: Mapping[str, Any], found: Sequence[int | None]
) -> dict[str, Any]:
    late = Delays(tuple(found))
    return {"budget": budget, "false": false["per_1000"], **late.as_json()}


def _curve(scores: list[Floats], after: list[Floats]) -> list[dict[str, Any]]:
    """Return delays at thresholds set, with hindsight, to rates of false episodes."""
    together = np.concatenate(scores)
    entries = []
    for allowed in RATES_OF_CURVES:
        if allowed * len(together) < 1000:  # less than one episode cannot be told from none
            continue
        threshold = threshold_for(together, allowed)
        late = Delays(tuple(delay((s > threshold)[:, None], 0) for s in after))
        entries.append({"false": allowed, "threshold": threshold, **late.as_json()})
    return entries


def at_allowed(curve: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the entry that finds soonest of those that keep to ALLOWED false episodes."""
    kept = [entry for entry in curve if entry["false"] <= ALLOWED]
    return min(kept, key=lambda entry: float(entry["mean_delay"]), default=None)
