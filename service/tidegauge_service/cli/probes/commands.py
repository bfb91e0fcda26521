"""``tidegauge probes``: check, deploy and compare LFs."""

from __future__ import annotations

import typer

from tidegauge_service.cli.console.lazy import LazyCommand, lazy_group

COMMANDS = (
    LazyCommand(
        "check",
        "probes.check:check",
        "Show what LFs look for, how they run, and how they vote on a sample of records.",
    ),
    LazyCommand(
        "init",
        "probes.init:init",
        "Convert Python LFs to templates where possible, and write a ProbeSet file.",
    ),
    LazyCommand(
        "deploy",
        "probes.deployments:deploy",
        "Make a ProbeSet live from the next window on.",
    ),
    LazyCommand(
        "shadow",
        "probes.deployments:shadow",
        "Run a ProbeSet alongside the live one, without alerts, from the next window on.",
    ),
    LazyCommand(
        "promote", "probes.deployments:promote", "Make the shadow live from the next window on."
    ),
    LazyCommand(
        "rollback",
        "probes.deployments:rollback",
        "Return to the previous live ProbeSet and its baseline, from the next window on.",
    ),
    LazyCommand(
        "end-shadow",
        "probes.deployments:end_shadow",
        "Stop the shadow from the next window on.",
    ),
    LazyCommand(
        "list",
        "probes.deployments:list_",
        "List a stream's deployments: which ProbeSet counted which windows, and who deployed it.",
    ),
    LazyCommand(
        "diff",
        "probes.comparison:diff",
        "Show which LFs differ between two ProbeSets, and how.",
    ),
    LazyCommand(
        "release",
        "probes.release:release",
        "Release an LF from quarantine.",
    ),
    LazyCommand("schema", "probes.schema:schema", "Print the JSON Schema of a ProbeSet file."),
)

app = typer.Typer(
    help="Check, deploy and compare labeling functions.",
    no_args_is_help=True,
    cls=lazy_group(*COMMANDS),
)


@app.callback()
def group() -> None:
    """Check, deploy and compare labeling functions."""
