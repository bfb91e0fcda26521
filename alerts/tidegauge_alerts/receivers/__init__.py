"""Where messages go: receivers, as values parsed from settings.

One module for each kind. How a kind is delivered to is in the folder of the same name in
:mod:`tidegauge_alerts.transports`; :mod:`tidegauge_alerts.transports.kinds` lists them all.
"""

from __future__ import annotations

from tidegauge_alerts.receivers.alertmanager import AlertmanagerReceiver
from tidegauge_alerts.receivers.checks import MAX_TIMEOUT_S
from tidegauge_alerts.receivers.email import EmailReceiver
from tidegauge_alerts.receivers.log import LogReceiver
from tidegauge_alerts.receivers.pagerduty import PagerDutyReceiver
from tidegauge_alerts.receivers.receiver import (
    Endpoint,
    Receiver,
    address_field,
    key_field,
    secret_field,
)
from tidegauge_alerts.receivers.slack import SlackReceiver
from tidegauge_alerts.receivers.teams import TeamsReceiver
from tidegauge_alerts.receivers.webhook import WebhookReceiver

__all__ = [
    "MAX_TIMEOUT_S",
    "AlertmanagerReceiver",
    "EmailReceiver",
    "Endpoint",
    "LogReceiver",
    "PagerDutyReceiver",
    "Receiver",
    "SlackReceiver",
    "TeamsReceiver",
    "WebhookReceiver",
    "address_field",
    "key_field",
    "secret_field",
]
