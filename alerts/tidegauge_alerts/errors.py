"""The part of tidegauge's error tree that concerns messages.

::

    TidegaugeError (tidegauge_probes.errors)
    ├── DeliveryError           a message could not be delivered
    │   ├── ReceiverError       a receiver is misconfigured
    │   └── AddressRefused      a receiver's host has an address that we must not connect to
    └── RuleError               a rule or mute time cannot be read

No message of these errors holds a secret, nor a URL beyond its host: for many receivers the
path *is* the secret.
"""

from __future__ import annotations

from tidegauge_probes.errors import TidegaugeError


class DeliveryError(TidegaugeError):
    """A message could not be delivered."""


class ReceiverError(DeliveryError):
    """A receiver is misconfigured: a key, a value, or the kind of receiver."""


class RuleError(TidegaugeError):
    """A rule or mute time has the wrong syntax."""


class AddressRefused(DeliveryError):  # noqa: N818  (says what happened, as ConnectionRefused does)
    """A receiver's host resolves to an address that messages must not be sent to."""
