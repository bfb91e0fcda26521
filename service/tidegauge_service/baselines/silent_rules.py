"""Rules that people wrote about a series for which a baseline has no figures: they never fire."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import structlog

from tidegauge_alerts.rules import UserRule
from tidegauge_probes.drift.baseline import Baseline
from tidegauge_probes.findings import SeriesKind
from tidegauge_service.baselines.identification import withheld

log = structlog.get_logger()

_OF_LABEL_MODEL: Final = (SeriesKind.CLASS_SHARE, SeriesKind.PRECISION)

NO_MODEL: Final = "the baseline has no label model: too few LFs vote often enough"
NOT_FOLLOWED: Final = "the baseline does not follow this series: it is too rare, or not a segment"


def silent_rules(rules: Iterable[UserRule], baseline: Baseline) -> tuple[str, ...]:
    """Return, of each rule that cannot fire with this baseline, its text and why."""
    keys, classes = frozenset(baseline.keys), baseline.plan.layout.classes
    return tuple(
        f"Rule '{rule.text}' cannot fire: {_why(rule, baseline)}"
        for rule in rules
        if not rule.is_followed(keys, classes)
    )


def warn(stream: str, rules: Iterable[UserRule], baseline: Baseline) -> tuple[str, ...]:
    """Log these rules, and return what was said."""
    found = silent_rules(rules, baseline)
    for text in found:
        log.warning("rule_silent", stream=stream, baseline=baseline.id, advice=text)
    return found


def _why(rule: UserRule, baseline: Baseline) -> str:
    if rule.key.series not in _OF_LABEL_MODEL:
        return NOT_FOLLOWED
    if baseline.model is None:
        return NO_MODEL
    said = withheld(baseline.model) or "the label model does not tell this figure"
    return said[0].lower() + said[1:]
