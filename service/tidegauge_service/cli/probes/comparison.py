"""``tidegauge probes diff``: how two ProbeSets differ."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from tidegauge_probes import load
from tidegauge_probes.authoring.difference import Difference, Part, compare
from tidegauge_probes.labeling.contents import Contents
from tidegauge_service.cli.console.database import find_stream, opened
from tidegauge_service.cli.console.terminal import out, print_json, settings_of
from tidegauge_service.errors import SettingsError
from tidegauge_service.store import deployment_counts, deployments, probe_sets
from tidegauge_service.store.deployment_counts import SideBySide
from tidegauge_service.store.engine import Connection
from tidegauge_service.store.streams import Role, StreamRow

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Which = Annotated[
    str,
    typer.Argument(
        help="ProbeSet file, module:attribute or id; with --stream, also live or shadow."
    ),
]


def diff(
    context: typer.Context,
    before: Which = "live",
    after: Which = "shadow",
    stream: Annotated[
        str | None,
        typer.Option(help="Stream name or file: also compare how both voted on its records."),
    ] = None,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Show which LFs differ between two ProbeSets, and how."""
    with opened(settings_of(context)) as database, database.read() as connection:
        row = find_stream(connection, stream) if stream else None
        (first, old), (second, new) = (_find(connection, row, which) for which in (before, after))
        seen = deployment_counts.side_by_side(connection, row, first, second) if row else None
    found = compare(old, new)
    if as_json:
        print_json({"before": first, "after": second, **_facts(found, seen)})
        return
    out.print(f"ProbeSet {first} → {second}", highlight=False)
    _show(found)
    if seen is not None:
        _show_seen(seen)


def _find(connection: Connection, row: StreamRow | None, which: str) -> tuple[str, Contents]:
    """Return the id of a ProbeSet and what stands for it."""
    name = which
    if which in set(Role):
        if row is None:
            msg = f"'{which}' needs a stream: give --stream, or name two ProbeSets"
            raise SettingsError(msg)
        found = deployments.current(deployments.of_stream(connection, row.id), Role(which))
        if found is None:
            msg = f"stream '{row.name}' has no {which} deployment"
            raise SettingsError(msg)
        name = found.probe_set
    kept = probe_sets.contents_of(connection, name)
    if kept is not None:
        return name, kept
    if ":" not in which and not which.endswith((".yaml", ".yml", ".json")):
        msg = f"ProbeSet '{which}' was never deployed: see `tidegauge probes list`, or give a "
        msg += "file or module:attribute"
        raise SettingsError(msg)
    probe_set = load(which, Path.cwd())
    return probe_set.id, probe_set.contents


def _facts(found: Difference, seen: SideBySide | None) -> dict[str, Any]:
    return asdict(found) | ({} if seen is None else {"counted": asdict(seen)})


def _show(found: Difference) -> None:
    if found.empty:
        out.print("no difference")
    if found.classes:
        before, after = (", ".join(names) for names in found.classes)
        out.print(f"classes: {before} → {after}", markup=False, highlight=False)
    for what, part in (("LF", found.probes), ("slice", found.slices)):
        for line in _lines(part):
            out.print(f"{what} {line}", markup=False, highlight=False)


def _lines(part: Part) -> list[str]:
    lines = [f"+ {name}" for name in part.added]
    lines += [f"- {name}" for name in part.removed]
    lines += [f"{before} → {after} (renamed)" for before, after in part.renamed]
    return lines + [f"{c.name}: different {' and '.join(c.aspects)}" for c in part.changed]


def _show_seen(seen: SideBySide) -> None:
    if seen.before is None or seen.after is None:
        out.print("no closed window was counted by both")
        return
    table = Table("LF", "coverage before", "after", "errors before", "after")
    old = {lf.probe: lf for lf in seen.before.lfs}
    new = {lf.probe: lf for lf in seen.after.lfs}
    for name in dict.fromkeys([*old, *new]):
        pair = (old.get(name), seen.before.records), (new.get(name), seen.after.records)
        coverage = [_share(lf.covered if lf else None, n) for lf, n in pair]
        errors = [_share(lf.errors if lf else None, n) for lf, n in pair]
        table.add_row(name, *coverage, *errors)
    records = f"{seen.before.records} records"
    if seen.after.records != seen.before.records:
        records += f" before, {seen.after.records} after"
    out.print(f"in {len(seen.starts)} windows counted by both, {records}:")
    out.print(table)


def _share(count: int | None, records: int) -> str:
    return "–" if count is None or not records else f"{count / records:.2%}"
