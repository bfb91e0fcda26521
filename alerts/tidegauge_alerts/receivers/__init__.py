"""Where messages go: receivers, as values parsed from settings.

One module for each kind. How a kind is delivered to is in the folder of the same name in
:mod:`tidegauge_alerts.transports`; :mod:`tidegauge_alerts.transports.kinds` lists them all.
"""

from __future__ import annotations

from tidegauge_alerts.receivers.checks import MAX_TIMEOUT_S
from tidegauge_alerts.receivers.log import LogReceiver
from tidegauge_alerts.receivers.receiver import Endpoint, Receiver
from tidegauge_alerts.receivers.webhook import WebhookReceiver

__all__ = ["MAX_TIMEOUT_S", "Endpoint", "LogReceiver", "Receiver", "WebhookReceiver"]
