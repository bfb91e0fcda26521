"""``tidegauge probes release``: end the quarantine of an LF."""

from __future__ import annotations

from typing import Annotated

import typer

from tidegauge_service.cli.console.database import find_stream, opened
from tidegauge_service.cli.console.terminal import out, settings_of
from tidegauge_service.clock import now_ms
from tidegauge_service.errors import SettingsError
from tidegauge_service.jobs.quarantine import release_lf
from tidegauge_service.store.ingest import quarantine


def release(
    context: typer.Context,
    stream: Annotated[str, typer.Argument(help="Stream name or stream file.")],
    lf: Annotated[str, typer.Argument(help="Name of the LF.")],
) -> None:
    """Release an LF from quarantine."""
    settings = settings_of(context)
    with opened(settings) as database:
        with database.read() as connection:
            found = find_stream(connection, stream)
            known = [q.probe for q in quarantine.of_stream(connection, found)]
        if lf not in known:
            listed = ", ".join(sorted(set(known))) or "none"
            msg = f"LF '{lf}' of stream '{stream}' is not quarantined (quarantined: {listed})"
            raise SettingsError(msg)
        release_lf(database, found, lf, now_ms=now_ms(), url=settings.url or "")
    out.print(
        f"released LF '{lf}' of stream '{stream}': workers call it again from their next batch on",
        markup=False,
    )
