"""``tidegauge probes check``: what LFs look for, how they run, and what they do on a sample."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Column, Table

from tidegauge_probes import ProbeSet, load
from tidegauge_probes.authoring import review
from tidegauge_probes.authoring.review import LfDescription, LfWarning, RunMode, Trial, WarningKind
from tidegauge_service.cli.console.terminal import (
    counted,
    out,
    print_json,
    printable,
    settings_of,
    styled,
)
from tidegauge_service.cli.probes.sample import (
    RecordSample,
    is_stream_file,
    read_sample,
    stream_sample,
)
from tidegauge_service.config.stream_file import StreamConfig, load_stream

HAS_WARNINGS = 1
"""Exit code of --strict where there are warnings."""


def check(
    context: typer.Context,
    reference: Annotated[
        str, typer.Argument(help="ProbeSet file, module:attribute, or stream file.")
    ],
    sample: Annotated[
        Path | None,
        typer.Option(
            help="Sample of records: JSON, JSONL, CSV, TSV or Parquet (default: the files of the "
            "stream's source)"
        ),
    ] = None,
    strict: Annotated[  # noqa: FBT002  (typer's flags)
        bool, typer.Option("--strict", help="Exit with code 1 if there are warnings.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,  # noqa: FBT002
) -> None:
    """Show what LFs look for, how they run, and how they vote on a sample of records."""
    stream = load_stream(Path(reference)) if is_stream_file(reference) else None
    if stream is None:
        probe_set = load(reference, Path.cwd())
    else:
        probe_set = load(stream.probes, Path(stream.folder))
    descriptions = review.describe(probe_set)
    warnings = review.same_content(probe_set)
    trial, unreadable = None, 0
    read = _sample(context, sample, stream)
    if read is not None:
        trial, unreadable = review.run_trial(probe_set, read.records), read.unreadable
        warnings += trial.warnings
    if as_json:
        print_json(_facts(probe_set, descriptions, trial, unreadable, warnings))
    else:
        _show_lfs(probe_set, descriptions)
        if read is not None and trial is not None:
            out.print(f"\n{counted(trial.records, 'record')}, {unreadable} unreadable")
            out.print(_table(trial))
            _show_absent(trial, read, stream)  # first: it explains what follows
            _show_predictions(probe_set, trial)
        for warning in warnings:
            _warn(f"{warning.name} {warning.message}")
            if trial is not None and warning.kind is WarningKind.FAILS:
                _show_failing(trial, warning.name)
    if strict and warnings:
        raise typer.Exit(HAS_WARNINGS)


def _sample(
    context: typer.Context, sample: Path | None, stream: StreamConfig | None
) -> RecordSample | None:
    if stream is not None:
        return stream_sample(stream, settings_of(context), sample)
    return None if sample is None else read_sample(sample)


_RUNS = {
    RunMode.TEMPLATE: "runs as a compiled template",
    RunMode.VOTER: "takes its vote from the record",
    RunMode.LIFTED: "is lifted, and runs as a template",
    RunMode.PYTHON: "runs as Python",
}


def _facts(
    probe_set: ProbeSet,
    descriptions: tuple[LfDescription, ...],
    trial: Trial | None,
    unreadable: int,
    warnings: tuple[LfWarning, ...],
) -> dict[str, Any]:
    """Return what scripts get to see."""
    m = len(probe_set.probes)
    on_sample = {row.name: row for row in trial.lfs} if trial else {}
    lfs = [asdict(one) for one in descriptions[:m]]
    for lf in lfs:
        row = on_sample.get(lf["name"])
        lf["sample"] = row and {k: v for k, v in asdict(row).items() if k != "name"}
    return {
        "id": probe_set.id,
        "classes": probe_set.classes,
        "records": trial and trial.records,
        "unreadable": unreadable,
        "lfs": lfs,
        "slices": [
            {k: v for k, v in asdict(one).items() if k != "labels"} for one in descriptions[m:]
        ],
        "failing": [asdict(one) for one in trial.failing] if trial else [],
        "absent": [asdict(one) for one in trial.absent] if trial else [],
        "warnings": [asdict(one) for one in warnings],
    }


def _show_lfs(probe_set: ProbeSet, descriptions: tuple[LfDescription, ...]) -> None:
    m = len(probe_set.probes)
    out.print(
        f"ProbeSet {probe_set.id}: {counted(m, 'LF')}, {counted(len(probe_set.slices), 'slice')}, "
        f"classes {', '.join(probe_set.classes)}",
        markup=False,
    )
    for column, one in enumerate(descriptions):
        _show_lf(one, is_slice=column >= m)


def _warn(text: str) -> None:
    """Print a warning: all that is found is one, since only --strict fails because of it."""
    out.print(styled("warning:", "yellow"), text)


def _show_failing(trial: Trial, name: str) -> None:
    """Say why an LF fails, under the warning that it does."""
    absent = {one.field for one in trial.absent}
    for failing in trial.failing:
        if failing.name != name or failing.field in absent:
            continue  # said once, for all LFs
        field = f", field '{failing.field}'" if failing.field else ""
        says = f"{failing.type}{field}: {failing.message}"
        out.print(f"  {failing.name}, {failing.records} records: {says}")


def _show_absent(trial: Trial, read: RecordSample, stream: StreamConfig | None) -> None:
    """Say once for each field that no record has, with those that there are."""
    text = stream.record.text if stream is not None else None
    for one in trial.absent:
        mapped = text is not None and one.field == "text"
        field = f"'{text}' (record.text)" if mapped else f"'{one.field}'"
        fails = f"LF {one.lfs[0]} fails" if len(one.lfs) == 1 else f"{len(one.lfs)} LFs fail"
        says = f"field {field} is in none of the {trial.records} records, so {fails}"
        there = f"the records have: {read.columns}"
        if stream is None and one.field == "text":
            there += ". To have `record.text` copied there, check the stream file instead"
        _warn(f"{says}; {there}")


def _show_predictions(probe_set: ProbeSet, trial: Trial) -> None:
    """Say what follows from a deployed model that always votes, as it is meant to."""
    for column in probe_set.deployed:
        if trial.lfs[column].coverage == 1:
            name = trial.lfs[column].name
            says = f"{name} is the deployed model and votes on every record of the sample"
            out.print("note:", f"{says}, so the blind spot stays empty")


def _show_lf(one: LfDescription, *, is_slice: bool) -> None:
    votes = "slice" if is_slice else " or ".join(one.labels or ("any class",))
    out.print(styled(printable(one.name), "bold"), f"→ {votes}: {one.matches}")
    out.print("   ", _RUNS[one.runs_as] + (f": {one.why}" if one.why else ""))


def _table(trial: Trial) -> Table:
    figures = ("votes", "coverage", "overlaps", "conflicts", "errors", "µs/record")
    # Headers stay whole in 80 columns: the names of LFs are folded instead.
    whole = (Column(name, no_wrap=True) for name in figures[1:])
    table = Table(Column("LF", overflow="fold"), Column(figures[0], overflow="fold"), *whole)
    for row in trial.lfs:
        shares = (row.coverage, row.overlaps, row.conflicts, row.errors)
        votes = ", ".join(row.labels) or "–"
        shown = (f"{share:.1%}" for share in shares)
        cells = (row.name, votes, *shown, f"{row.microseconds}")
        table.add_row(*cells)
    return table
