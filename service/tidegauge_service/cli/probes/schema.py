"""``tidegauge probes schema``: the schema of a ProbeSet file, for editors and CI."""

from __future__ import annotations

import json

import typer

from tidegauge_probes.labeling import loading


def schema() -> None:
    """Print the JSON Schema of a ProbeSet file."""
    typer.echo(json.dumps(loading.schema(), indent=2))
