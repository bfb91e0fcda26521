"""Whether a receiver could be delivered to, found out before anything is sent."""

from __future__ import annotations

from tidegauge_alerts.errors import ReceiverError
from tidegauge_alerts.receivers import Endpoint, Receiver
from tidegauge_alerts.transports.network import Resolver, is_public, resolve


def check_receiver(receiver: Receiver, resolver: Resolver = resolve) -> str:
    """Return what a receiver is, without its secrets; nothing is connected to.

    Raises ReceiverError if one of its hosts has no address, or one to which nothing is ever sent.
    """
    for endpoint in receiver.endpoints:
        _check(receiver, endpoint, resolver)
    return f"{receiver.kind} at {receiver.where}" if receiver.where else receiver.kind


def _check(receiver: Receiver, endpoint: Endpoint, resolver: Resolver) -> None:
    try:
        addresses = resolver(endpoint.host, endpoint.port)
    except OSError as error:
        msg = f"receiver '{receiver.name}' at {endpoint.where}: the host name cannot be resolved"
        raise ReceiverError(msg) from error
    private = [address for address in addresses if not is_public(address)]
    if private and not getattr(receiver, "allow_private", False):
        msg = (
            f"receiver '{receiver.name}' at {endpoint.where}: its address {private[0]} is private, "
            "so every message will be refused; if this is intentional, set allow_private: true"
        )
        raise ReceiverError(msg)
