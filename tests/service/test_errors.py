"""The exit code of each error, as the tree in `errors` says it."""

from __future__ import annotations

import pytest

from tidegauge_alerts.errors import RuleError
from tidegauge_probes.errors import BaselineError, ProbeError, TidegaugeError
from tidegauge_service import errors


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.ServiceError("x"), 1),
        (errors.ChangeRefused("x"), 2),
        (errors.SourceError("x"), 3),
        (errors.NoRecord("x"), 4),
        (errors.DataRefused("x"), 5),
        (errors.AddressUnusable("x"), 6),
        (errors.WorkerFailed("x", 9), 9),
        (ProbeError("x"), 2),
        (BaselineError("x"), 2),
        (RuleError("x"), 2),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_has_the_exit_code_of_its_kind(error: TidegaugeError, code: int) -> None:
    assert errors.exit_code_of(error) == code
