"""All kinds of receivers: the list of built-in ones, and the loading of plug-ins.

A package adds a kind with an entry point of the group ``tidegauge.receivers``: its name is the
kind, and it names a :class:`ReceiverKind` (docs/receivers.md has an example). It is imported only
if the settings use it, and cannot replace a kind that is built in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from tidegauge_alerts.errors import ReceiverError
from tidegauge_alerts.receivers import configuration
from tidegauge_alerts.receivers.alertmanager import AlertmanagerReceiver
from tidegauge_alerts.receivers.email import EmailReceiver
from tidegauge_alerts.receivers.log import LogReceiver
from tidegauge_alerts.receivers.pagerduty import PagerDutyReceiver
from tidegauge_alerts.receivers.receiver import Receiver
from tidegauge_alerts.receivers.schema import schema_of
from tidegauge_alerts.receivers.slack import SlackReceiver
from tidegauge_alerts.receivers.teams import TeamsReceiver
from tidegauge_alerts.receivers.webhook import WebhookReceiver
from tidegauge_alerts.transports.alertmanager.transport import AlertmanagerTransport
from tidegauge_alerts.transports.email.transport import EmailTransport
from tidegauge_alerts.transports.guard import GuardedTransport
from tidegauge_alerts.transports.log.transport import LogTransport
from tidegauge_alerts.transports.pagerduty.transport import PagerDutyTransport
from tidegauge_alerts.transports.protocol import Clock, Transport
from tidegauge_alerts.transports.slack.transport import SlackTransport
from tidegauge_alerts.transports.teams.transport import TeamsTransport
from tidegauge_alerts.transports.webhook.transport import WebhookTransport

GROUP: Final = "tidegauge.receivers"


@dataclass(frozen=True, slots=True)
class ReceiverKind:
    """A kind of receiver: its settings, and what delivers to it.

    ``transport`` takes a receiver of that class and a clock, and returns a Transport.
    """

    receiver: type[Receiver]
    transport: Callable[[Any, Clock], Transport]


BUILT_IN: Final[Mapping[str, ReceiverKind]] = {
    kind.receiver.kind: kind
    for kind in (
        ReceiverKind(LogReceiver, LogTransport),
        ReceiverKind(WebhookReceiver, WebhookTransport),
        ReceiverKind(SlackReceiver, SlackTransport),
        ReceiverKind(PagerDutyReceiver, PagerDutyTransport),
        ReceiverKind(TeamsReceiver, TeamsTransport),
        ReceiverKind(EmailReceiver, EmailTransport),
        ReceiverKind(AlertmanagerReceiver, AlertmanagerTransport),
    )
}


def receiver_schema() -> dict[str, Any]:
    """Return the JSON Schema of one receiver in the settings."""
    return schema_of({name: kind.receiver for name, kind in BUILT_IN.items()})


def known_kinds() -> list[str]:
    """Return the names of all kinds, those of plug-ins too; none of these is imported."""
    return sorted({*BUILT_IN, *entry_points(group=GROUP).names})


def find_kind(kind: str) -> ReceiverKind | None:
    """Return a kind by its name, or None; ReceiverError if its plug-in cannot be used."""
    if kind in BUILT_IN:
        return BUILT_IN[kind]
    found = tuple(entry_points(group=GROUP, name=kind))
    return _loaded(found[0]) if found else None


def parse_receivers(config: Mapping[str, Mapping[str, Any]]) -> dict[str, Receiver]:
    """Return name → receiver for the ``receivers`` part of the settings.

    Raises ReceiverError, naming the receiver and the nearest known key.
    """
    return {
        name: configuration.parse(name, given, _receiver_class, known_kinds)
        for name, given in config.items()
    }


def typed_keys(kind: object) -> frozenset[str]:
    """Return the keys of a kind whose values are numbers or booleans; none of an unknown kind."""
    found = _receiver_class(kind) if isinstance(kind, str) else None
    return frozenset() if found is None else configuration.typed_keys(found)


def transport_for(receiver: Receiver, clock: Clock) -> Transport:
    """Return the transport that delivers to *receiver*; *clock* gives epoch milliseconds."""
    kind = find_kind(receiver.kind)
    if kind is None:
        raise ReceiverError(f"receiver '{receiver.name}': there is no kind '{receiver.kind}'")
    transport = kind.transport(receiver, clock)
    return transport if receiver.kind in BUILT_IN else GuardedTransport(receiver, transport)


def _receiver_class(kind: str) -> type[Receiver] | None:
    found = find_kind(kind)
    return None if found is None else found.receiver


def _loaded(entry: EntryPoint) -> ReceiverKind:
    """Return the kind that an entry point names; ReceiverError, naming it, if that fails."""
    source = f"the plug-in for kind '{entry.name}' ({entry.value})"
    try:
        kind = entry.load()
    except Exception as error:
        raise ReceiverError(f"{source} cannot be imported: {error!r}") from error
    if not isinstance(kind, ReceiverKind):
        raise ReceiverError(f"{source} must be a ReceiverKind, not {type(kind).__name__}")
    if kind.receiver.kind != entry.name:
        raise ReceiverError(
            f"{source} must have the entry point's name as `kind` of its receiver class, "
            f"not '{kind.receiver.kind}'"
        )
    return kind
