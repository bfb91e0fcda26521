"""``tidegauge receivers``: try a receiver of the settings."""

from __future__ import annotations

from typing import Annotated

import typer

from tidegauge_alerts import Status
from tidegauge_alerts.messages.trial import trial
from tidegauge_alerts.receivers import Receiver
from tidegauge_alerts.transports import Delivered, Refused, transport_for
from tidegauge_probes.errors import nearest
from tidegauge_service.cli.console.terminal import out, settings_of
from tidegauge_service.clock import now_ms
from tidegauge_service.config.settings import Settings
from tidegauge_service.errors import ServiceError, SettingsError

app = typer.Typer(help="Send a test message to a receiver.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Keep `test` a subcommand."""


@app.command("test")
def send_test(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Receiver in the settings.")],
    resolved: Annotated[  # noqa: FBT002  (typer's flags)
        bool,
        typer.Option(
            "--resolved", help="Say that the test is over, to close what an earlier test opened."
        ),
    ] = False,
) -> None:
    """Send a test message to a receiver now, and show whether it was delivered."""
    settings = settings_of(context)
    receiver = _receiver(name, settings)
    status = Status.RESOLVED if resolved else Status.FIRING
    message = trial(name, status, now_ms(), settings.url or "")
    outcome = transport_for(receiver, now_ms).deliver(message.body, message.dedup_key)
    if isinstance(outcome, Delivered):
        out.print(f"delivered to {_title(receiver)}", highlight=False)
        return
    if isinstance(outcome, Refused):
        msg = f"not delivered, and a message would not be retried: {outcome.why}"
        raise ServiceError(msg)
    wait = "" if outcome.after_s is None else f" (it asks to wait for {outcome.after_s:g} s)"
    msg = f"not delivered, but a message would be retried: {outcome.why}{wait}"
    raise ServiceError(msg)


def _receiver(name: str, settings: Settings) -> Receiver:
    known = settings.parsed_receivers()
    if name not in known:
        hint = nearest(name, known) if known else ": add it under `receivers` in tidegauge.yaml"
        msg = f"the settings do not define a receiver '{name}'{hint}"
        raise SettingsError(msg)
    return known[name]


def _title(receiver: Receiver) -> str:
    at = f" at {receiver.where}" if receiver.where else ""
    return f"{receiver.kind} '{receiver.name}'{at}"
