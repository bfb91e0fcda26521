"""Protection against bugs in transports that are not ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog

from tidegauge_alerts.receivers.receiver import Receiver
from tidegauge_alerts.transports.protocol import Delivered, Outcome, Refused, Retry, Transport

log = structlog.get_logger()


class GuardedTransport:
    """Makes sure that the transport of a plug-in never raises."""

    def __init__(self, receiver: Receiver, transport: Transport) -> None:
        self._title = f"{receiver.kind} '{receiver.name}'"
        self._transport = transport

    def deliver(self, message: Mapping[str, Any], dedup_key: str) -> Outcome:
        """Try once. Only the type of an exception is logged, because its text may hold a secret."""
        try:
            outcome: object = self._transport.deliver(message, dedup_key)
        except Exception as error:  # noqa: BLE001  (a plug-in can raise anything)
            where = _place(error)
            log.error("plug_in_failed", receiver=self._title, error=type(error).__name__, at=where)
            return Retry(f"{self._title}: its plug-in raised {type(error).__name__} at {where}")
        if isinstance(outcome, Delivered | Retry | Refused):
            return outcome
        return Retry(f"{self._title}: its plug-in returned {type(outcome).__name__}, no outcome")


def _place(error: Exception) -> str:
    """Return file and line of where an exception was raised."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "?" if trace is None else f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
