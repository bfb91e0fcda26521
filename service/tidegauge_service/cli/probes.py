"""``tidegauge probes``: look at LFs before they are deployed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from msgspec import structs
from rich.table import Table

from tidegauge_probes import ProbeSet, analysis, counts, engine, load
from tidegauge_probes.model import Record
from tidegauge_service.cli.terminal import find_stream, opened, out, print_json, settings_of
from tidegauge_service.clock import now_ms
from tidegauge_service.errors import SettingsError
from tidegauge_service.ingest.codec import Codec
from tidegauge_service.ingest.file_source import FileSource
from tidegauge_service.jobs.quarantining import release_lf
from tidegauge_service.store import quarantine
from tidegauge_service.stream_config import Limits, RecordMapping

app = typer.Typer(help="Labeling functions.", no_args_is_help=True)

SAMPLE = 5_000


@app.command()
def check(
    reference: Annotated[str, typer.Argument(help="A ProbeSet file, or module:attribute.")],
    sample: Annotated[
        Path | None, typer.Option(help="Records to try them on: JSONL, CSV or Parquet.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,  # noqa: FBT002
) -> None:
    """Load a ProbeSet, say what is wrong with it, and try it on a sample of records."""
    probe_set = load(reference, Path.cwd())
    found: dict[str, object] = {
        "id": probe_set.id,
        "classes": list(probe_set.classes),
        "probes": [probe.name for probe in probe_set.probes],
        "slices": [probe.name for probe in probe_set.slices],
    }
    if sample is not None:
        found |= _try(probe_set, sample)
    if as_json:
        print_json(found)
        return
    out.print(
        f"ProbeSet {probe_set.id}: {len(probe_set.probes)} LFs, {len(probe_set.slices)} slices, "
        f"classes {', '.join(probe_set.classes)}"
    )
    if sample is not None:
        _show(found)


@app.command()
def release(
    context: typer.Context,
    stream: Annotated[str, typer.Argument(help="The stream's name.")],
    lf: Annotated[str, typer.Argument(help="The LF's name.")],
) -> None:
    """Let a quarantined LF be called again, from the workers' next batches on."""
    settings = settings_of(context)
    with opened(settings) as database:
        found = find_stream(database, stream)
        with database.read() as connection:
            known = [q.probe for q in quarantine.active(connection, found)]
        if lf not in known:
            listed = ", ".join(sorted(known)) or "none"
            msg = f"LF '{lf}' of stream '{stream}' is not quarantined (quarantined: {listed})"
            raise SettingsError(msg)
        release_lf(database, found, lf, now_ms=now_ms(), url=settings.url or "")
    out.print(f"LF '{lf}' of stream '{stream}' is called again", markup=False)


def _try(probe_set: ProbeSet, sample: Path) -> dict[str, object]:
    source = FileSource(str(sample), Path())
    codec = Codec(RecordMapping(id=None, timestamp="@source"), Limits(), now_ms)
    source.poll(0, 0)
    inputs = source.poll(SAMPLE, 0).inputs
    # Only the fields matter here: ids and times are the stream's business.
    decoded = (codec.decode(structs.replace(raw, timestamp_ms=0)) for raw in inputs)
    records = [item.fields for item in decoded if isinstance(item, Record)]
    matrix = engine.run(probe_set, records)
    pane = counts.fold(matrix, probe_set.cardinality, {})
    summary = analysis.lf_summary(pane, probe_set.layout.probes)
    rows = summary.reset_index(names="LF").to_dict("records")
    per_record = matrix.seconds / max(len(records), 1) * 1e6
    for row, cost in zip(rows, per_record, strict=True):
        row["Microseconds"] = round(float(cost), 2)
    faults = [
        {"LF": _name(probe_set, probe), "type": kind, "records": n, "message": message}
        for (probe, kind), (n, message) in sorted(pane.faults.items())
    ]
    unread = len(inputs) - len(records)
    return {"records": len(records), "unread": unread, "lfs": rows, "faults": faults}


def _name(probe_set: ProbeSet, column: int) -> str:
    probes = (*probe_set.probes, *probe_set.slices)
    return probes[column].name


def _show(found: dict[str, object]) -> None:
    table = Table("LF", "polarity", "coverage", "overlaps", "conflicts", "errors", "µs/record")
    for row in found["lfs"]:  # type: ignore[attr-defined]
        shares = [f"{row[k]:.1%}" for k in ("Coverage", "Overlaps", "Conflicts", "Errors")]
        table.add_row(row["LF"], str(row["Polarity"]), *shares, str(row["Microseconds"]))
    out.print(f"{found['records']} records, {found['unread']} unreadable")
    out.print(table)
    for row in found["lfs"]:  # type: ignore[attr-defined]
        if row["Coverage"] in {0.0, 1.0}:
            what = "never fires" if row["Coverage"] == 0 else "always fires"
            out.print(f"[yellow]warning:[/] {row['LF']} {what} on the sample")
    for fault in found["faults"]:  # type: ignore[attr-defined]
        out.print(
            f"[red]error:[/] {fault['LF']}: {fault['type']} on {fault['records']} records: "
            f"{fault['message']}",
            markup=True,
        )
