"""The baseline that a stream file asks for: by name, or fitted from a file of training data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import structlog

from tidegauge_probes.drift.baseline import Baseline
from tidegauge_probes.errors import BaselineError
from tidegauge_probes.labeling.probe_set import ProbeSet
from tidegauge_service.baselines import training
from tidegauge_service.baselines.class_balance import class_balance
from tidegauge_service.baselines.doubts import doubts
from tidegauge_service.clock import Clock
from tidegauge_service.config.stream_file import BaselineName, BaselinePath, StreamConfig
from tidegauge_service.store import baselines
from tidegauge_service.store.engine import Database

log = structlog.get_logger()


def find_baseline(
    config: StreamConfig,
    probe_set: ProbeSet,
    database: Database,
    clock: Clock,
    fitted: Callable[[int], None] | None = None,
) -> Baseline | None:
    """Return the baseline that is named, or fitted from a file; None for a range of the stream.

    One that was fitted by another `timezone` or `calendar` is fitted again, from its counts.
    """
    chosen = config.baseline
    if not isinstance(chosen, BaselineName):  # a wrong one is said now, not after the range
        class_balance(chosen.balance, probe_set.layout.classes)
    if isinstance(chosen, BaselineName):
        with database.read() as connection:
            found = baselines.find(connection, chosen.name)
    elif isinstance(chosen, BaselinePath):
        path = Path(config.folder) / chosen.path
        log.info("baseline_fitting", stream=config.name, path=chosen.path)  # it may take minutes
        votes = path.suffix in {".npy", ".npz"}
        if votes and chosen.gold is not None:
            msg = f"baseline.gold names a field of records; {chosen.path} is a vote matrix"
            raise BaselineError(msg)
        found = (
            training.fit_votes(config, probe_set, path, balance=chosen.balance)
            if votes
            else training.fit_records(
                config,
                probe_set,
                path,
                clock,
                fitted,
                gold=chosen.gold,
                csv=chosen.csv,
                balance=chosen.balance,
            )
        )
        for doubt in doubts(found):
            log.warning("baseline_doubtful", baseline=found.id, path=chosen.path, doubt=doubt)
    else:
        return None
    name = config.name
    baselines.check(found, stream=name, probe_set=probe_set.id, window_ms=config.window)
    return found.in_time(config.civil)
