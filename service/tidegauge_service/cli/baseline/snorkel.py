"""``tidegauge baseline import-snorkel``: use a label model fitted with Snorkel."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from tidegauge_probes.drift.baseline import Baseline
from tidegauge_probes.errors import BaselineError
from tidegauge_probes.label_model.model import LabelModel
from tidegauge_probes.label_model.snorkel import snorkel_model, snorkel_pickle
from tidegauge_service.cli.console.database import opened
from tidegauge_service.cli.console.terminal import out, print_json, settings_of, styled
from tidegauge_service.clock import now_ms
from tidegauge_service.store import baselines

OTHER = 0.05
"""An LF that votes on so many more of the records here than there may be another LF."""


def import_snorkel(
    context: typer.Context,
    model: Annotated[Path, typer.Argument(help="File written by `label_model.save(path)`.")],
    baseline: Annotated[str, typer.Option(help="Baseline of the same LFs, by name or id.")],
    name: Annotated[str, typer.Option(help="Name of the new baseline.")],
    records: Annotated[
        int | None, typer.Option(min=1, help="Number of rows of L_train, if the file does not say.")
    ] = None,
    replace_name: Annotated[  # noqa: FBT002  (typer's flags)
        bool, typer.Option("--replace", help="Take the name from the baseline that has it.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,  # noqa: FBT002
) -> None:
    """Copy a baseline, with its label model replaced by a saved Snorkel LabelModel."""
    imported = _read(model, records)
    with opened(settings_of(context)) as database:
        with database.read() as connection:
            old = baselines.find(connection, baseline)
        _refuse_misfit(imported, old, model)
        source = {**old.source, "label_model": f"snorkel: {model.name}"}
        new = replace(old.with_model(imported), source=source)
        with database.write() as connection:
            if replace_name:
                baselines.release_name(connection, name)
            baselines.save(connection, new, name, now_ms())
    warnings = [*_doubts(imported, old)]
    if as_json:
        shares = dict(zip(old.plan.layout.classes, imported.prior.tolist(), strict=True))
        facts = {"records": imported.records, "class_shares": shares, "warnings": warnings}
        print_json({"name": name, "id": new.id, **facts})
        return
    out.print(
        f"baseline '{name}' ({new.id}): copy of '{baseline}' with the label model of "
        f"{model.name}, fitted on {imported.records} records",
        markup=False,
    )
    for warning in warnings:
        out.print(styled("warning:", "yellow"), warning)


def _read(path: Path, records: int | None) -> LabelModel:
    try:
        with path.open("rb") as file:  # no more than is read: it may be endless
            content = file.read(snorkel_pickle.MOST_BYTES + 1)
    except OSError as error:
        msg = f"cannot read {path}: {error.strerror or error}; check the path"
        raise BaselineError(msg) from error
    try:
        return snorkel_model.label_model(snorkel_pickle.read(content), records)
    except BaselineError as error:
        msg = f"{path} cannot be imported: {error}"
        raise BaselineError(msg) from error


def _refuse_misfit(model: LabelModel, baseline: Baseline, path: Path) -> None:
    given = (len(model.votes), model.classes)
    wanted = (baseline.total.lfs, baseline.total.classes)
    if given != wanted:
        msg = (
            f"{path} has {given[0]} LFs and {given[1]} classes, but the baseline has {wanted[0]} "
            f"and {wanted[1]}: fit a baseline with the same LFs, in the order of L_train's columns"
        )
        raise BaselineError(msg)


def _doubts(model: LabelModel, baseline: Baseline) -> list[str]:
    """Return what hints at other LFs, another order, or a model that does not fit its votes."""
    there = model.votes / model.records
    here = baseline.total.all.outcomes[:, :-2] / max(baseline.total.records, 1)
    said = []
    for lf in np.flatnonzero(np.abs(there - here).max(axis=1) > OTHER):
        most = int(np.abs(there[lf] - here[lf]).argmax())
        label = baseline.plan.layout.classes[most]
        said.append(
            f"{baseline.plan.layout.probes[lf]} votes {label} on {here[lf, most]:.1%} of the "
            f"baseline but {there[lf, most]:.1%} of L_train: are the LFs in the same order?"
        )
    m = len(model.votes)
    pairs = (int(model.dependent.sum()) - m) // 2
    if pairs:
        said.append(
            f"{pairs} of {m * (m - 1) // 2} pairs of LFs vote together more or less often than "
            "this label model predicts, and are not used to measure each other"
        )
    return said
