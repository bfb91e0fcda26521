"""Alerts are stored as JSON and read again: what is read must be what was written."""

import msgspec
from hypothesis import given, settings

from tests.alerts.builders import Run, quiet, run, shifted
from tests.alerts.lifecycle.test_lifecycle_properties import histories, thorough
from tidegauge_alerts import Figures


def again(value: Figures) -> Figures:
    return msgspec.json.decode(msgspec.json.encode(value), type=type(value))


def test_alerts_and_transitions_survive_storage() -> None:
    history = run([shifted(), shifted(0.3), *[quiet()] * 4])
    for value in (history.alert, *history.transitions):
        assert again(value) == value


@settings(thorough, max_examples=25)
@given(histories)
def test_any_alert_survives_storage(history: Run) -> None:
    for value in (*history.alerts.values(), *history.transitions):
        assert again(value) == value
