"""Runs one tool on counts: ``python adapters.py NAME in.npz out.npz``, in the tool's environment.

In: ``history_x`` of ``history_n`` [H, S], ``live_x`` of ``live_n`` [B, W, S]: B runs after one
history. The tool sees records: one column per LF with "vote" or "abstain". Out: ``alarms``
[B, W, S], the tool's own verdicts as shipped, and ``score``, by which other thresholds can be set.

Nothing of tidegauge is imported: it is not installed there.
"""

from __future__ import annotations

import copy
import csv
import logging
import math
import sys
import time
import types
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

REFERENCE = 20_000
"""Records of the reference, where a tool takes one table: the history's shares, to the record."""

HOUR_NS = 3_600_000_000_000
FLOOR = 1e-300


@dataclass
class Task:
    """What to run on; all int64."""

    history_x: Any
    history_n: Any
    live_x: Any
    live_n: Any
    rng: Any

    @property
    def series(self) -> int:
        """Number of LFs."""
        return int(self.history_x.shape[1])

    def reference_votes(self) -> Any:
        """Return how many of the REFERENCE records each LF votes on, int64 [S]."""
        shares = self.history_x.sum(axis=0) / self.history_n.sum(axis=0)
        return np.round(REFERENCE * shares).astype(np.int64)

    def votes(self, x: Any, n: Any) -> Any:
        """Return records, int8 [n, S]: 1 a vote. All LFs see as many records."""
        columns = [self.rng.permutation(np.arange(n[0]) < of_series) for of_series in x]
        return np.stack(columns, axis=1).astype(np.int8)

    def table(self, x: Any, n: Any) -> Any:
        """Return records as a data frame of categories."""
        import pandas as pd

        words = np.array(["abstain", "vote"], dtype=object)
        names = [f"lf{s}" for s in range(self.series)]
        return pd.DataFrame(words[self.votes(x, n)], columns=names)

    def reference_table(self) -> Any:
        """Return the reference as a data frame."""
        return self.table(self.reference_votes(), np.full(self.series, REFERENCE))

    def hourly(self, x: Any, n: Any, first: int = 0) -> Any:
        """Return windows as one data frame with a column ``ts``."""
        import pandas as pd

        tables = []
        for w in range(len(x)):
            table = self.table(x[w], n[w])
            table["ts"] = pd.Timestamp((first + w) * HOUR_NS)
            tables.append(table)
        return pd.concat(tables, ignore_index=True)


def each_window(task: Task, score: Callable[[Any, Any], Any]) -> Any:
    """Return the scores of every live window, judged on its own."""
    found = np.zeros(task.live_x.shape)
    for b, w in np.ndindex(task.live_x.shape[:2]):
        found[b, w] = score(task.live_x[b, w], task.live_n[b, w])
    return found


def evidently(task: Task) -> tuple[Any, Any]:
    """Return evidently's DataDriftPreset per column."""
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    names = [f"lf{s}" for s in range(task.series)]
    definition = DataDefinition(categorical_columns=names)
    reference = Dataset.from_pandas(task.reference_table(), data_definition=definition)
    limits = {}

    def score(x: Any, n: Any) -> Any:
        current = Dataset.from_pandas(task.table(x, n), data_definition=definition)
        metrics = Report([DataDriftPreset()]).run(current, reference).dict()["metrics"]
        found = {}
        for metric in metrics:
            config = metric["config"]
            if "column" in config:
                found[config["column"]] = float(metric["value"])
                limits[config["method"]] = float(config["threshold"])
        return [found[name] for name in names]

    scores = each_window(task, score)
    (method, threshold), *others = limits.items()
    if others or "distance" not in method:
        raise SystemExit(f"evidently chose other tests than expected: {limits}")
    return scores, scores > threshold


def nannyml(task: Task) -> tuple[Any, Any]:
    """Return nannyml's univariate drift: Jensen-Shannon over its own threshold per column."""
    import nannyml as nml
    import pandas as pd

    names = [f"lf{s}" for s in range(task.series)]
    calculator = nml.UnivariateDriftCalculator(
        column_names=names, treat_as_categorical=names, timestamp_column_name="ts", chunk_period="h"
    )
    calculator.fit(task.hourly(task.history_x, task.history_n))
    scores = np.zeros(task.live_x.shape)
    for b in range(len(scores)):
        live = task.hourly(task.live_x[b], task.live_n[b], len(task.history_x))
        frame: pd.DataFrame = calculator.calculate(live).filter(period="analysis").to_df()
        for s, name in enumerate(names):
            of_column = frame[name]["jensen_shannon"]
            limit = of_column["upper_threshold"].to_numpy(dtype=float)
            scores[b, :, s] = of_column["value"].to_numpy(dtype=float) / limit
    return scores, scores > 1


def alibi_detect(task: Task) -> tuple[Any, Any]:
    """Return alibi-detect's TabularDrift, χ² per column, Bonferroni over columns as shipped."""
    from alibi_detect.cd import TabularDrift

    full = np.full(task.series, REFERENCE)
    detector = TabularDrift(
        task.votes(task.reference_votes(), full),
        p_val=0.05,
        categories_per_feature=dict.fromkeys(range(task.series)),
    )

    def score(x: Any, n: Any) -> Any:
        return _surprise(detector.predict(task.votes(x, n))["data"]["p_val"])

    scores = each_window(task, score)
    return scores, scores > -math.log10(0.05 / task.series)


def whylogs(task: Task) -> tuple[Any, Any]:
    """Return whylogs' drift scores of profiles: χ² per column, DRIFT from p ≤ .05."""
    import whylogs as why
    from whylogs.viz.drift.column_drift_algorithms import calculate_drift_scores

    reference = why.log(task.reference_table()).view()

    def score(x: Any, n: Any) -> Any:
        view = why.log(task.table(x, n)).view()
        found = calculate_drift_scores(view, reference, with_thresholds=True)
        return _surprise([found[f"lf{s}"]["pvalue"] for s in range(task.series)])

    scores = each_window(task, score)
    return scores, scores >= -math.log10(0.05)


def _surprise(p_values: Any) -> Any:
    return -np.log10(np.maximum(np.asarray(p_values, dtype=np.float64), FLOOR))


def popmon(task: Task) -> tuple[Any, Any]:
    """Return popmon's largest pull or z-score against the reference; alarms are its red lights.

    Its comparison with the window before is among the lights, not in the score: it is infinite
    wherever an LF never voted, so that no threshold could be set.
    """
    import pandas as pd
    from histogrammar.dfinterface.make_histograms import make_histograms
    from popmon.config import Settings
    from popmon.pipeline.metrics import stability_metrics

    def histograms(x: Any, n: Any, first: int) -> Any:
        return make_histograms(
            task.hourly(x, n, first),
            features=[f"ts:lf{s}" for s in range(task.series)],
            time_axis="ts",
            bin_specs={"ts": {"bin_width": float(HOUR_NS), "bin_offset": 0.0}},
        )

    reference = histograms(task.history_x, task.history_n, 0)
    scores, alarms = np.zeros(task.live_x.shape), np.zeros(task.live_x.shape, dtype=bool)
    for b in range(len(scores)):
        live = histograms(task.live_x[b], task.live_n[b], len(task.history_x))
        settings = Settings(time_axis="ts", reference_type="external")
        found = stability_metrics(live, settings=settings, reference=reference)
        for s in range(task.series):
            parts = [found[name][f"lf{s}"] for name in ("profiles", "comparisons")]
            table: pd.DataFrame = pd.concat(parts, axis=1)
            judged = [c for c in table.columns if c.endswith(("_pull", "_zscore"))]
            against = table[[c for c in judged if not c.startswith("prev1")]].to_numpy(dtype=float)
            scores[b, :, s] = np.nan_to_num(np.abs(against)).max(axis=1)
            lights = found["traffic_lights"][f"lf{s}"].to_numpy()
            alarms[b, :, s] = (lights == RED).any(axis=1)
    return scores, alarms


RED = 2
DELTAS = (0.002, 1e-4, 1e-6, 1e-8, 1e-12, 1e-16, 1e-24, 1e-32)
"""ADWIN's confidence as shipped, and stricter: its score is the strictest that still alarms."""


def river_adwin(task: Task) -> tuple[Any, Any]:
    """Return river's ADWIN, fed vote by vote."""
    drift = _river()
    makers = {-math.log10(delta): partial(drift.ADWIN, delta=delta) for delta in DELTAS}
    scores = _sequential(task, makers)
    return scores, scores > 0


LAMBDAS = (50.0, 100.0, 200.0, 400.0, 800.0, 1600.0)


def river_page_hinkley(task: Task) -> tuple[Any, Any]:
    """Return river's Page-Hinkley, fed vote by vote."""
    drift = _river()
    makers = {limit: partial(drift.PageHinkley, threshold=limit) for limit in LAMBDAS}
    scores = _sequential(task, makers)
    return scores, scores > 0


def _river() -> Any:
    # river 0.26 subscripts csv.DictReader, which only Python 3.12 allows.
    if not hasattr(csv.DictReader, "__class_getitem__"):
        csv.DictReader.__class_getitem__ = classmethod(types.GenericAlias)  # type: ignore[attr-defined]
    from river import drift

    return drift


def _sequential(task: Task, makers: dict[float, Any]) -> Any:
    """Return for each window the highest score whose detector signalled a drift in it."""
    scores = np.zeros(task.live_x.shape)
    for s in range(task.series):
        before = _bits(task, task.history_x[:, s], task.history_n[:, s])
        warm = {score: _fed(make(), before) for score, make in makers.items()}
        for b in range(len(scores)):
            detectors = copy.deepcopy(warm)
            windows = _bits(task, task.live_x[b, :, s], task.live_n[b, :, s])
            for w, bits in enumerate(windows):
                for score, detector in detectors.items():
                    if _signals(detector, bits):
                        scores[b, w, s] = max(score, scores[b, w, s])
    return scores


def _bits(task: Task, x: Any, n: Any) -> list[list[int]]:
    return [
        task.rng.permutation((np.arange(of_n) < of_x).astype(int)).tolist()
        for of_x, of_n in zip(x, n, strict=True)
    ]


def _fed(detector: Any, windows: list[list[int]]) -> Any:
    for bits in windows:
        _signals(detector, bits)
    return detector


def _signals(detector: Any, bits: list[int]) -> bool:
    found = False
    for bit in bits:
        detector.update(bit)
        found = found or detector.drift_detected
    return found


TOOLS = {
    "evidently": evidently,
    "nannyml": nannyml,
    "alibi-detect": alibi_detect,
    "whylogs": whylogs,
    "popmon": popmon,
    "river ADWIN": river_adwin,
    "river Page–Hinkley": river_page_hinkley,
}


def main() -> None:
    """Run the tool that is named."""
    name, source, target = sys.argv[1:]
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    with np.load(source) as arrays:
        parts = {key: arrays[key] for key in ("history_x", "history_n", "live_x", "live_n")}
        rng = np.random.default_rng(int(arrays["seed"]))
    started = time.perf_counter()
    score, alarms = TOOLS[name](Task(rng=rng, **parts))
    seconds = time.perf_counter() - started
    np.savez(target, score=score, alarms=alarms, seconds=seconds)


if __name__ == "__main__":
    main()
