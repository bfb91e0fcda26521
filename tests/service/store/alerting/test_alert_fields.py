"""The API's model of an alert and its plain form have the same fields."""

from __future__ import annotations

import json

from tests.dashboards.snapshots import snapshot
from tidegauge_service.api.routes.alerts import AlertItem
from tidegauge_service.store.alerting.alert_fields import fields_of


def test_the_api_gives_every_field_and_links() -> None:
    alert = snapshot().streams[0].firing[0]
    found = fields_of(alert)
    assert {*found, "links"} == {*AlertItem.model_fields}
    shown = AlertItem(**found, links={}).model_dump()
    assert {name: shown[name] for name in found} == json.loads(json.dumps(found))


def test_the_series_and_the_windows_are_spelled_out() -> None:
    alert = snapshot().streams[0].firing[1]
    found = fields_of(alert)
    assert (found["series"], found["probe"], found["other"]) == (
        "agreement",
        "check_out",
        "has_link",
    )
    assert found["opened_window"] == "2027-01-15T07:50:00Z"
    assert found["resolved_window"] is None
