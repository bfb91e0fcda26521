"""``tidegauge baseline``: freeze what the LFs did on training data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from math import isnan
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.table import Column, Table

from tidegauge_probes import load
from tidegauge_probes.counts.analysis import lf_summary
from tidegauge_probes.drift.baseline import LEARNING_WINDOWS, Baseline
from tidegauge_probes.label_model.accuracy import Gold
from tidegauge_probes.label_model.limits import MIN_LFS, MIN_VOTES
from tidegauge_service.baselines import training
from tidegauge_service.baselines.class_balance import EXAMPLE, parse_balance
from tidegauge_service.baselines.doubts import doubts
from tidegauge_service.baselines.identification import withheld
from tidegauge_service.cli.baseline import snorkel
from tidegauge_service.cli.console.database import author, find_stream, opened
from tidegauge_service.cli.console.ended_files import ended_files
from tidegauge_service.cli.console.terminal import (
    counted,
    moment,
    out,
    print_json,
    progress,
    settings_of,
    styled,
    table,
)
from tidegauge_service.clock import now_ms, to_iso
from tidegauge_service.config.sources import CsvDialect
from tidegauge_service.config.stream_file import load_stream
from tidegauge_service.deployments import changes
from tidegauge_service.errors import SettingsError
from tidegauge_service.store import baselines
from tidegauge_service.web.pages import false_alarms

app = typer.Typer(
    help="Fit, list and accept the baselines that windows are compared with.", no_args_is_help=True
)

app.command("import-snorkel")(snorkel.import_snorkel)


@app.command()
def fit(
    context: typer.Context,
    stream: Annotated[
        Path, typer.Argument(help="The stream file, for its `probes`, `record` and `window`.")
    ],
    name: Annotated[
        str, typer.Option(help="Name of the baseline, for `baseline: {name: …}` in stream files.")
    ],
    records: Annotated[
        Path | None, typer.Option(help="Training records: JSON, JSONL, CSV, TSV or Parquet.")
    ] = None,
    votes: Annotated[
        Path | None,
        typer.Option(help="Vote matrix instead of records: .npy or .npz, such as Snorkel's L."),
    ] = None,
    gold: Annotated[
        str | None,
        typer.Option(help="Field with the true class, for the records where it is known."),
    ] = None,
    balance: Annotated[
        str | None, typer.Option(help=f"Class shares, if you know them: {EXAMPLE}.")
    ] = None,
    encoding: Annotated[
        str | None,
        typer.Option(help="Encoding of a CSV or TSV file (default: source.csv.encoding)."),
    ] = None,
    delimiter: Annotated[
        str | None,
        typer.Option(help="Delimiter of a CSV or TSV file (default: source.csv.delimiter)."),
    ] = None,
    replace: Annotated[  # noqa: FBT002  (typer's flags)
        bool, typer.Option("--replace", help="Take the name from the baseline that has it.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,  # noqa: FBT002
) -> None:
    """Fit a baseline from training records or from a vote matrix."""
    dialect = _dialect(encoding, delimiter)
    if (records is None) == (votes is None):
        msg = "give either --records FILE or --votes FILE"
        raise SettingsError(msg)
    if gold is not None and records is None:
        msg = "--gold names a field of the records: give --records FILE"
        raise SettingsError(msg)
    shares = None if balance is None else parse_balance(balance)
    config = load_stream(stream)
    probe_set = load(config.probes, Path(config.folder))
    with opened(settings_of(context)) as database:
        if records is None:
            fitted = training.fit_votes(config, probe_set, votes or Path(), balance=shares)
        else:
            with progress("training records") as advance:
                fitted = training.fit_records(
                    config,
                    probe_set,
                    records,
                    now_ms,
                    advance,
                    gold=gold,
                    balance=shares,
                    csv=dialect,
                    encoding_from="--encoding",
                )
        with database.write() as connection:
            if replace:
                baselines.release_name(connection, name)
            baselines.save(connection, fitted, name, now_ms())
    warnings = doubts(fitted)
    if as_json:
        print_json({"name": name, **_facts(fitted), "warnings": warnings})
        return
    out.print(
        f"baseline '{name}' ({fitted.id}): {counted(fitted.total.records, 'record')}, "
        f"{counted(len(fitted.starts), 'window')}"
    )
    if fitted.learning:
        out.print(
            styled("learning:", "yellow"),
            f"fewer than {LEARNING_WINDOWS} windows, so only shifts of "
            "an odds ratio of 3 or more will alert",
        )
    _show_calibration(fitted)
    out.print(_label_model(fitted), highlight=False)
    if fitted.gold is not None:
        out.print(_accuracy(fitted.gold))
    for warning in warnings:
        out.print(styled("warning:", "yellow"), warning)


def _dialect(encoding: str | None, delimiter: str | None) -> CsvDialect:
    """Return what the options say of a CSV file; SettingsError if they cannot be."""
    given = {"encoding": encoding, "delimiter": delimiter}
    try:
        return CsvDialect.model_validate({k: v for k, v in given.items() if v is not None})
    except ValidationError as error:
        option = error.errors()[0]["loc"][0]
        said = error.errors()[0]["msg"].removeprefix("Value error, ")
        msg = f"--{option}: {said}"
        raise SettingsError(msg) from error


@app.command("list")
def listing(context: typer.Context) -> None:
    """List baselines."""
    shown = table("id", "ProbeSet", "created", last="name and size")
    with opened(settings_of(context)) as database, database.read() as connection:
        for row in baselines.listing(connection):
            counts = (f"{row.records} records", f"{row.windows} windows")
            more = "\n".join((row.name, *counts) if row.name else counts)
            shown.add_row(row.id, row.probe_set, to_iso(row.created_ms), more)
    out.print(shown)


@app.command()
def show(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Baseline name or id.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,  # noqa: FBT002
) -> None:
    """Show the source of a baseline, and the coverage and precision of each LF."""
    with opened(settings_of(context)) as database, database.read() as connection:
        found = baselines.find(connection, name)
    if as_json:
        print_json(_facts(found))
        return
    out.print(f"baseline {found.id} of ProbeSet {found.probe_set}")
    for key, value in _source(found):
        out.print(f"  {key}: {plainly(value)}", highlight=False)
    _show_calibration(found)
    precision = _precision(found)
    whole = (Column(name, no_wrap=True) for name in ("coverage", "overlaps", "conflicts", "errors"))
    figures = Table(Column("LF", overflow="fold"), *whole, Column("precision", overflow="fold"))
    for lf, row in lf_summary(found.total, found.plan.layout.probes).iterrows():
        shares = [f"{row[k]:.2%}" for k in ("Coverage", "Overlaps", "Conflicts", "Errors")]
        figures.add_row(str(lf), *shares, _said(precision.get(str(lf), {})))
    out.print(figures)
    if found.gold is not None:
        out.print(_accuracy(found.gold))
    if (known := _shares(found)) is not None:
        out.print("class shares: " + ", ".join(f"{label} {s:.1%}" for label, s in known.items()))
    out.print(_label_model(found), highlight=False)


@app.command()
def accept(
    context: typer.Context,
    stream: Annotated[str, typer.Argument(metavar="STREAM", help="Stream name or stream file.")],
    since: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="Start of the first window (default: when the oldest open alert opened, or settled"
            "; your own rules do not count). Give it if alerts opened one after the other: all "
            "windows should be at the new level",
        ),
    ] = None,
    until: Annotated[
        str | None, typer.Option(help="End of the last window (default: all evaluated windows)")
    ] = None,
    balance: Annotated[
        str | None, typer.Option(help=f"Class shares in the windows, if you know them: {EXAMPLE}.")
    ] = None,
    by: Annotated[
        str | None, typer.Option(help="Name to record for the change (default: your login)")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,  # noqa: FBT002
) -> None:
    """Accept recent windows as the new baseline, from the next window on."""
    with opened(settings_of(context)) as database:
        with database.read() as connection:  # apart: the change begins by taking its locks
            row = find_stream(connection, stream)
        made = changes.accept(
            database,
            row,
            author(by),
            since_ms=moment(since, "--from"),
            until_ms=moment(until, "--until"),
            balance=None if balance is None else parse_balance(balance),
        )
        with database.read() as connection:
            found = baselines.load(connection, made.baseline or "")
        ended = ended_files(database, row)
    if as_json:
        print_json({"stream": row.name, **asdict(made)})
        return
    source, windows = found.source, len(found.starts)
    out.print(
        f"from {to_iso(made.from_ms)} on, windows of stream '{row.name}' are compared with "
        f"baseline {found.id}, made of {windows} windows from {source['from']} until "
        f"{source['until']}. Open alerts resolve at that first window",
        highlight=False,
    )
    if found.learning:
        out.print(_LEARNS, highlight=False)
    if ended:
        out.print(ended)


_LEARNS = (
    f"learning: fewer than {LEARNING_WINDOWS} windows over two days, so only shifts of an odds "
    "ratio of 3 or more will alert, until it has grown"
)

_NO_MODEL = (
    f"no label model, so no precision: fewer than {MIN_LFS} LFs have {MIN_VOTES} votes, or no "
    "votes were kept"
)


def _facts(baseline: Baseline) -> dict[str, Any]:
    """Return what scripts get to see."""
    model = baseline.model
    return {
        "id": baseline.id,
        "probe_set": baseline.probe_set,
        "records": baseline.total.records,
        "windows": len(baseline.starts),
        "learning": baseline.learning,
        "source": dict(baseline.source),
        "timezone": baseline.civil.zone,
        "calendar": baseline.civil.calendar or None,
        "left_out": [
            {"from": to_iso(since), "until": to_iso(until)}
            for since, until in baseline.calibration.left_out
        ],
        "wandering": [str(key) for key in baseline.wandering],
        "accuracy": None if baseline.gold is None else baseline.gold.accuracy,
        "label_model": None
        if model is None
        else {
            "kind": str(model.kind),
            "labels": model.labels,
            "records": model.records,
            "class_shares": _shares(baseline),
            "precision": _precision(baseline),
            "withheld": withheld(model),
        },
    }


_IN_ORDER = ("stream", "path", "votes", "from", "until")
"""What of the source is shown first; the rest follows as it is kept."""


def _source(baseline: Baseline) -> list[tuple[str, object]]:
    """Return what a baseline was made of, in the order in which people read it."""
    source = baseline.source
    first = [(key, source[key]) for key in _IN_ORDER if key in source]
    rest = [(key, value) for key, value in source.items() if key not in _IN_ORDER]
    civil = baseline.civil
    return [*first, *rest, ("timezone", civil.zone), ("calendar", civil.calendar)]


def plainly(value: object) -> str:
    """Return a value as people write it, not as Python does.

    >>> plainly(("2026-11-11",)), plainly({"AUTO": 0.45, "VOL": 0.1}), plainly(None), plainly(3)
    ('2026-11-11', 'AUTO=0.45, VOL=0.1', 'none', '3')
    """
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={one}" for key, one in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return "none" if value in {None, ""} else str(value)


def _show_calibration(baseline: Baseline) -> None:
    """Say what the baseline did not learn from, and which series it cannot fit."""
    stretches, names = baseline.calibration.left_out, [str(key) for key in baseline.wandering]
    zone = baseline.civil.zone
    for line in (*false_alarms.left_out(stretches, zone), *false_alarms.wandering(names)):
        out.print(line, highlight=False)


def _shares(baseline: Baseline) -> dict[str, float] | None:
    """Return class → share of all records, None where it is not known."""
    model = baseline.model
    if model is None or not model.shares_known:
        return None
    return dict(zip(baseline.plan.layout.classes, model.prior.tolist(), strict=True))


def _label_model(baseline: Baseline) -> str:
    """Return what the figures of precision are worth."""
    model = baseline.model
    if model is None:
        return _NO_MODEL
    if model.labels:
        return f"Precision and class shares come from {model.labels} gold labels and the votes."
    known = (
        "Precision and class shares are relative to the consensus of the LFs, not to true labels."
    )
    return withheld(model) or known


def _precision(baseline: Baseline) -> dict[str, dict[str, float]]:
    """Return LF → class → precision of its votes for that class, where that is known."""
    if baseline.model is None:
        return {}
    layout, found = baseline.plan.layout, baseline.model.shown
    return {
        name: {
            label: float(p) for label, p in zip(layout.classes, row, strict=True) if not isnan(p)
        }
        for name, row in zip(layout.probes, found, strict=True)
    }


def _accuracy(gold: Gold) -> str:
    return f"model accuracy: {gold.accuracy:.1%} on {len(gold.labels)} gold records"


def _said(precision: Mapping[str, float]) -> str:
    return ", ".join(f"{label} {p:.1%}" for label, p in precision.items()) or "–"
