"""Whether a receiver could be delivered to, found out before anything is sent."""

from __future__ import annotations

import httpx2

from tidegauge_alerts.errors import ReceiverError
from tidegauge_alerts.receivers import LogReceiver, Receiver
from tidegauge_alerts.transports.network import Resolver, is_public, resolve


def check_receiver(receiver: Receiver, resolver: Resolver = resolve) -> str:
    """Return what a receiver is, without its secrets; nothing is connected to.

    Raises ReceiverError if its host has no address, or one to which nothing is ever sent.
    """
    if isinstance(receiver, LogReceiver):
        return "log"
    url = httpx2.URL(receiver.url)
    port = url.port or (443 if url.scheme == "https" else 80)
    try:
        addresses = resolver(url.raw_host.decode("ascii"), port)
    except OSError as error:
        msg = f"receiver '{receiver.name}' at {receiver.where}: the host name cannot be resolved"
        raise ReceiverError(msg) from error
    private = [address for address in addresses if not is_public(address)]
    if private and not receiver.allow_private:
        msg = (
            f"receiver '{receiver.name}' at {receiver.where}: its address {private[0]} is private, "
            "so every message will be refused; if this is intentional, set allow_private: true"
        )
        raise ReceiverError(msg)
    return f"webhook at {receiver.where}"
