"""``tidegauge probes``: look at LFs before they are deployed."""

from __future__ import annotations

import typer

from tidegauge_service.cli.lazy import LazyCommand, lazy_group

COMMANDS = (
    LazyCommand(
        "check",
        "probes.check:check",
        "Load a ProbeSet, say what its LFs look for, and try them on a sample of records.",
    ),
    LazyCommand(
        "init",
        "probes.init:init",
        "Write a ProbeSet file of the Python LFs that are templates in disguise.",
    ),
    LazyCommand(
        "deploy",
        "probes.deployments:deploy",
        "Let a ProbeSet count, judge and alert, from the next window on.",
    ),
    LazyCommand(
        "shadow",
        "probes.deployments:shadow",
        "Let a ProbeSet count beside the live one, and never alert, from the next window on.",
    ),
    LazyCommand(
        "promote", "probes.deployments:promote", "Make the shadow live, from the next window on."
    ),
    LazyCommand(
        "rollback",
        "probes.deployments:rollback",
        "Deploy again what was live before, with its baseline, from the next window on.",
    ),
    LazyCommand(
        "end-shadow",
        "probes.deployments:end_shadow",
        "Let the shadow count no more, from the next window on.",
    ),
    LazyCommand(
        "list",
        "probes.deployments:list_",
        "List which ProbeSets have counted which windows of a stream, and who wanted it so.",
    ),
    LazyCommand(
        "diff",
        "probes.comparison:diff",
        "Say which LFs two ProbeSets do not have in common, and what of them is another.",
    ),
    LazyCommand(
        "release",
        "probes.release:release",
        "Let a quarantined LF be called again, from the workers' next batches on.",
    ),
    LazyCommand("schema", "probes.schema:schema", "Print the JSON Schema of a ProbeSet file."),
)

app = typer.Typer(help="Labeling functions.", no_args_is_help=True, cls=lazy_group(*COMMANDS))


@app.callback()
def group() -> None:
    """Labeling functions."""
