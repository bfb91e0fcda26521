"""From a finding to a delivered message: rules, lifecycle, grouping, routing, transports.

::

    findings of a window ─ lifecycle.advance ─ alerts, transitions
      → messages.messages ─ one body per status, with a key to drop repeats by
      → receivers ─ where it goes;  transports ─ how;  backoff ─ when again

Everything is pure but for :mod:`tidegauge_alerts.transports`.
"""

from __future__ import annotations

from tidegauge_alerts.errors import AddressRefused, DeliveryError, ReceiverError, RuleError
from tidegauge_alerts.lifecycle.advance import Advance, advance, merged, withdraw
from tidegauge_alerts.messages.message import headline, messages_of, notify_worthy
from tidegauge_alerts.messages.model import Message, Status
from tidegauge_alerts.model import (
    Alert,
    AlertKind,
    AlertState,
    Context,
    Figures,
    Rule,
    Severity,
    Transition,
    TransitionReason,
)
from tidegauge_alerts.receivers import LogReceiver, Receiver, WebhookReceiver
from tidegauge_alerts.rules import UserRule, parse_rule
from tidegauge_alerts.silences import MuteTime, parse_mute
from tidegauge_alerts.transports.backoff import delay_s, given_up
from tidegauge_alerts.transports.kinds import parse_receivers
from tidegauge_alerts.transports.webhook.signature import sign, verify

__all__ = [
    "AddressRefused",
    "Advance",
    "Alert",
    "AlertKind",
    "AlertState",
    "Context",
    "DeliveryError",
    "Figures",
    "LogReceiver",
    "Message",
    "MuteTime",
    "Receiver",
    "ReceiverError",
    "Rule",
    "RuleError",
    "Severity",
    "Status",
    "Transition",
    "TransitionReason",
    "UserRule",
    "WebhookReceiver",
    "advance",
    "delay_s",
    "given_up",
    "headline",
    "merged",
    "messages_of",
    "notify_worthy",
    "parse_mute",
    "parse_receivers",
    "parse_rule",
    "sign",
    "verify",
    "withdraw",
]
