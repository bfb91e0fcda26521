"""``tidegauge probes init``: Python LFs converted to templates."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from tidegauge_probes import ProbeSet, engine, load
from tidegauge_probes.authoring.probe_file import Document, constant_votes, document
from tidegauge_probes.labeling.loading import import_path
from tidegauge_probes.model import Fields
from tidegauge_service.cli.console.terminal import counted, err, styled
from tidegauge_service.cli.probes.sample import read_sample
from tidegauge_service.errors import SettingsError


def init(
    source: Annotated[
        str, typer.Option("--from", help="Python LFs to convert, as module:attribute.")
    ],
    target: Annotated[
        Path | None, typer.Option("--out", help="File to write (default: standard output)")
    ] = None,
    classes: Annotated[
        str | None, typer.Option(help="Class names in index order, such as HAM,SPAM.")
    ] = None,
    sample: Annotated[
        Path | None,
        typer.Option(
            help="Records to verify on: LFs whose template votes differently stay Python."
        ),
    ] = None,
) -> None:
    """Convert Python LFs to templates where possible, and write a ProbeSet file."""
    if target is not None and target.exists():
        msg = f"{target} already exists: give --out another name, or remove it"
        raise SettingsError(msg)
    names = None if classes is None else [name.strip() for name in classes.split(",")]
    probe_set = load(source, Path.cwd(), names)
    if names is not None:
        probe_set = _named(probe_set, names)
    _refuse_unnamed(probe_set)
    written = document(probe_set, lambda lf: import_path(lf, source))
    if sample is not None:
        differing = _differing(probe_set, written, read_sample(sample).records)
        written = document(probe_set, lambda lf: import_path(lf, source), differing)
    if not any(entry.keys is not None for entry in written.probes):
        reasons = "\n".join(f"  {entry.name}: {entry.why}" for entry in written.entries)
        msg = f"no LF of {source} can be written to a file; keep them in Python:\n{reasons}"
        raise SettingsError(msg)
    if target is None:
        typer.echo(written.text(), nl=False)
    else:
        target.write_text(written.text(), encoding="utf-8")
    _tell(written, target)


def _refuse_unnamed(probe_set: ProbeSet) -> None:
    """SettingsError if an LF is seen to vote for a class that has no name."""
    votes = constant_votes(probe_set)
    lf = max(votes, key=lambda name: votes[name], default="")
    if votes and votes[lf] >= probe_set.cardinality:
        msg = (
            f"LF '{lf}' votes for class {votes[lf]}, but only {probe_set.cardinality} classes have "
            f"names: give --classes {votes[lf] + 1} names in index order, beginning with class 0"
        )
        raise SettingsError(msg)


def _named(probe_set: ProbeSet, names: list[str]) -> ProbeSet:
    if len(names) != probe_set.cardinality:
        has = f"the ProbeSet has {probe_set.cardinality}: {', '.join(probe_set.classes)}"
        msg = f"--classes names {len(names)} classes; {has}"
        raise SettingsError(msg)
    return replace(probe_set, classes=tuple(names))


def _differing(
    probe_set: ProbeSet, written: Document, records: tuple[Fields, ...]
) -> dict[str, str]:
    """Return the LFs whose template has other outcomes on records, as where types are mixed."""
    if all(entry.keys is None or entry.why is not None for entry in written.probes):
        return {}
    made = written.probe_set()
    found = engine.run(made, records), engine.run(probe_set, records)
    differing = {}
    for part, columns in (("probes", "outcomes"), ("slices", "segments")):
        place = {probe.name: n for n, probe in enumerate(getattr(probe_set, part))}
        for n, probe in enumerate(getattr(made, part)):
            one, other = getattr(found[0], columns), getattr(found[1], columns)
            rows = int((one[:, n] != other[:, place[probe.name]]).sum())
            if rows:
                differing[probe.name] = (
                    f"its template votes differently on {counted(rows, 'record')} of the sample"
                )
    return differing


def _tell(written: Document, target: Path | None) -> None:
    """Say what was made, apart from the file itself."""
    made = sum(entry.why is None for entry in written.entries)
    where = f"wrote {target}: " if target is not None else ""
    err.print(f"{where}{made} of {len(written.entries)} converted to templates", highlight=False)
    for entry in written.entries:
        if entry.why is not None:
            lacks = "" if entry.keys else " (left out: it has no import path)"
            err.print(
                styled("  stays Python:", "yellow"),
                f"{entry.name}: {entry.why}{lacks}",
                soft_wrap=True,
            )
