"""What an author wants to know of LFs before they are deployed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tidegauge_probes import engine
from tidegauge_probes.authoring import words
from tidegauge_probes.columns.batch import Batch
from tidegauge_probes.columns.texts import Mask
from tidegauge_probes.compat import StrEnum
from tidegauge_probes.counts import panes
from tidegauge_probes.counts.analysis import (
    lf_conflicts,
    lf_coverages,
    lf_errors,
    lf_overlaps,
    polarities,
)
from tidegauge_probes.counts.panes import PaneCounts
from tidegauge_probes.labeling.digest import digest
from tidegauge_probes.labeling.probe_set import Probe, ProbeSet, TemplateProbe
from tidegauge_probes.labeling.python_probe import PythonProbe
from tidegauge_probes.labeling.templates import TemplateSpec
from tidegauge_probes.lifting.lifted import Lifted, Python
from tidegauge_probes.lifting.lifting import FEWEST, Lifting
from tidegauge_probes.lifting.reader import readings, returned_votes
from tidegauge_probes.lifting.translation import Untranslatable, translate, votes_of
from tidegauge_probes.model import ABSENT, ABSTAIN, Fault, Fields, VoteMatrix, lookup

Readings = Mapping[int, Lifted | Python]


class RunMode(StrEnum):
    """How an LF runs."""

    TEMPLATE = "template"
    VOTER = "voter"
    LIFTED = "lifted"
    PYTHON = "python"


@dataclass(frozen=True)
class LfDescription:
    """What is known of an LF or slicing function without a record.

    ``labels``: the classes that it can vote for; None if only running it tells. ``why``: why it
    runs as Python.
    """

    name: str
    matches: str
    labels: tuple[str, ...] | None
    runs_as: RunMode
    why: str | None = None


@dataclass(frozen=True)
class SampleFigures:
    """What an LF did on a sample. Shares of its records; ``microseconds`` for each of them."""

    name: str
    labels: tuple[str, ...]
    coverage: float
    overlaps: float
    conflicts: float
    errors: float
    microseconds: float


@dataclass(frozen=True)
class Failing:
    """Errors of an LF (or slicing function) of one type; ``field`` None if it cannot be told."""

    name: str
    type: str
    field: str | None
    records: int
    message: str


@dataclass(frozen=True)
class AbsentField:
    """A field that LFs (or slicing functions) read, and that no record of the sample has."""

    field: str
    lfs: tuple[str, ...]


class WarningKind(StrEnum):
    """What an author should look at."""

    SAME_CONTENT = "same_content"
    NEVER_FIRES = "never_fires"
    ALWAYS_FIRES = "always_fires"
    SAME_VOTES = "same_votes"
    FAILS = "fails"
    LIFTED_DIFFERS = "lifted_differs"


@dataclass(frozen=True)
class LfWarning:
    """What an author should look at in one LF, in words."""

    name: str
    kind: WarningKind
    message: str


@dataclass(frozen=True)
class Trial:
    """What the LFs did on a sample."""

    records: int
    lfs: tuple[SampleFigures, ...]
    failing: tuple[Failing, ...]
    warnings: tuple[LfWarning, ...]
    absent: tuple[AbsentField, ...] = ()


# -- Without records --------------------------------------------------------------------------


def describe(probe_set: ProbeSet) -> tuple[LfDescription, ...]:
    """Say what each LF, and after them each slicing function, is."""
    read = readings(probe_set)
    few = sum(isinstance(one, Lifted) for one in read.values()) < FEWEST
    probes = enumerate((*probe_set.probes, *probe_set.slices))
    return tuple(_describe(probe_set, probe, read.get(column), few=few) for column, probe in probes)


def _describe(
    probe_set: ProbeSet, probe: Probe, read: Lifted | Python | None, *, few: bool
) -> LfDescription:
    if not isinstance(probe, PythonProbe):
        runs_as = RunMode.TEMPLATE if isinstance(probe, TemplateProbe) else RunMode.VOTER
        return LfDescription(
            probe.name, words.of_probe(probe), _names(probe_set, probe.labels or ()), runs_as
        )
    if not isinstance(read, Lifted):
        why = read.why if read is not None else ""
        labels = _returned(probe_set, probe)
        return LfDescription(probe.name, words.of_probe(probe), labels, RunMode.PYTHON, why)
    known = _names(probe_set, sorted(votes_of(read.tree) - {ABSTAIN}))
    labels = known if read.whole else _returned(probe_set, probe)
    matches = _template_words(read) or words.of_probe(probe)
    if few:
        why = (
            "could be compiled, but tidegauge compiles Python LFs only if there are "
            f"at least {FEWEST}"
        )
        return LfDescription(probe.name, matches, labels, RunMode.PYTHON, why)
    return LfDescription(probe.name, matches, labels, RunMode.LIFTED)


def _returned(probe_set: ProbeSet, probe: PythonProbe) -> tuple[str, ...] | None:
    """Return the classes that an LF can vote for, by its `return` statements; None if unknown."""
    votes = sorted((returned_votes(probe) or frozenset()) - {ABSTAIN})
    known = votes and -1 < votes[0] <= votes[-1] < probe_set.cardinality
    return _names(probe_set, votes) if known else None


def _names(probe_set: ProbeSet, votes: Sequence[int]) -> tuple[str, ...]:
    return tuple(probe_set.classes[vote] for vote in votes)


def _template_words(read: Lifted) -> str | None:
    translated = _template(read)
    return None if translated is None else words.of_condition(translated[1])


def _template(read: Lifted) -> tuple[int, TemplateSpec] | None:
    try:
        label, condition = translate(read)
    except Untranslatable:
        return None
    return label, TemplateSpec.model_validate({"name": "lf", "label": label, **condition})


def same_content(probe_set: ProbeSet) -> tuple[LfWarning, ...]:
    """Warn of LFs that say the same as one before them."""
    read = readings(probe_set)
    first: dict[str, str] = {}
    found = []
    for column, probe in enumerate(probe_set.probes):
        content = digest(_content(probe, read.get(column)))
        if content in first:
            message = (
                f"has the same content as {first[content]}: remove one, or both count as two LFs"
            )
            found.append(LfWarning(probe.name, WarningKind.SAME_CONTENT, message))
        first.setdefault(content, probe.name)
    return tuple(found)


def _content(probe: Probe, read: Lifted | Python | None) -> Any:
    """Return plain data that two LFs share if they differ in name only."""
    if isinstance(probe, TemplateProbe):
        return [probe.label, probe.condition.document()]
    template = _template(read) if isinstance(read, Lifted) else None
    if template is not None:
        return [template[0], template[1].document()]
    if isinstance(probe, PythonProbe):
        return ["python", probe.f, dict(probe.resources), list(probe.chain)]
    return asdict(replace(probe.contents(), name=""))


# -- On records -------------------------------------------------------------------------------


def run_trial(probe_set: ProbeSet, records: Sequence[Fields]) -> Trial:
    """Run the LFs on a sample of at least one record; all outcomes are those of Python."""
    read = readings(probe_set)
    matrix = engine.run(probe_set, records)
    pane = panes.fold(matrix, probe_set.cardinality, {})
    seconds = matrix.seconds.copy()
    lifted = {n for n, one in read.items() if isinstance(one, Lifted) and n < len(seconds)}
    differing: list[str] = []
    if len(lifted) >= FEWEST:
        columns = sorted(lifted)
        seconds[columns], differing = _lifted_seconds(probe_set, columns, records)
    rows = _figures(probe_set, pane, seconds / len(records) * 1e6)
    failing = tuple(_failing(probe_set, read, records, matrix))
    warnings = (*_warnings(rows, matrix, failing, probe_set.deployed), *map(_differs, differing))
    return Trial(len(records), tuple(rows), failing, warnings, _absent(failing, records))


def _figures(
    probe_set: ProbeSet, pane: PaneCounts, microseconds: npt.NDArray[np.float64]
) -> list[SampleFigures]:
    """Return the rows of Snorkel's ``lf_summary``, without pandas, which takes long to import."""
    shares = (lf_coverages(pane), lf_overlaps(pane), lf_conflicts(pane), lf_errors(pane))
    coverage, overlaps, conflicts, errors = (each.tolist() for each in shares)
    voted = polarities(pane.all)
    return [
        SampleFigures(
            name=probe.name,
            labels=_names(probe_set, voted[column]),
            coverage=coverage[column],
            overlaps=overlaps[column],
            conflicts=conflicts[column],
            errors=errors[column],
            microseconds=round(float(microseconds[column]), 2),
        )
        for column, probe in enumerate(probe_set.probes)
    ]


def _lifted_seconds(
    probe_set: ProbeSet, columns: Sequence[int], records: Sequence[Fields]
) -> tuple[Any, list[str]]:
    """Return what lifted LFs cost, float64 [columns], and which differ from themselves."""
    alone = ProbeSet(tuple(probe_set.probes[column] for column in columns), probe_set.classes)
    differing: list[str] = []
    read = readings(alone)
    lifting = Lifting(alone, read, fewest=1, checked=0, ended=lambda lf, _: differing.append(lf))
    engine.run(alone, records, lifting=lifting)  # the first batch is checked: both ways run
    return engine.run(alone, records, lifting=lifting).seconds, differing


def _differs(name: str) -> LfWarning:
    message = (
        "votes differently when compiled, so workers will run it as Python: please report this"
    )
    return LfWarning(name, WarningKind.LIFTED_DIFFERS, message)


def _warnings(
    rows: Sequence[SampleFigures],
    matrix: VoteMatrix,
    failing: Sequence[Failing],
    deployed: Collection[int],
) -> Iterator[LfWarning]:
    """Warn of LFs. *deployed*: columns with the deployed model's label, which may always vote."""
    fails = Counter[str]()
    for one in failing:
        fails[one.name] += one.records
    first: dict[bytes, str] = {}
    for column, row in enumerate(rows):
        if fails[row.name]:
            share = fails[row.name] / len(matrix.outcomes)
            yield LfWarning(row.name, WarningKind.FAILS, f"fails on {share:.1%} of the sample")
        if not row.coverage:
            if fails[row.name] < len(matrix.outcomes):  # otherwise that is said above
                yield LfWarning(row.name, WarningKind.NEVER_FIRES, "never fires on the sample")
            continue
        if row.coverage == 1 and column not in deployed:
            message = "fires on every record of the sample, so the blind spot is empty"
            yield LfWarning(row.name, WarningKind.ALWAYS_FIRES, message)
        votes = matrix.votes[:, column].tobytes()
        if votes in first:
            message = f"votes the same as {first[votes]} on the whole sample"
            yield LfWarning(row.name, WarningKind.SAME_VOTES, message)
        first.setdefault(votes, row.name)
    for name in sorted(fails.keys() - {row.name for row in rows}):  # slicing functions have no row
        share = fails[name] / len(matrix.outcomes)
        yield LfWarning(name, WarningKind.FAILS, f"fails on {share:.1%} of the sample")


def _failing(
    probe_set: ProbeSet, read: Readings, records: Sequence[Fields], matrix: VoteMatrix
) -> Iterator[Failing]:
    batch = Batch(records)
    probes = (*probe_set.probes, *probe_set.slices)
    unfit = {column: _unfit(read.get(column), batch) for column in {f.probe for f in matrix.faults}}
    messages: dict[tuple[int, str, str | None], list[str]] = {}
    for fault in matrix.faults:
        key = fault.probe, fault.type, _field(fault, unfit[fault.probe])
        messages.setdefault(key, []).append(fault.message)
    for (column, kind, field), some in sorted(messages.items(), key=str):
        yield Failing(probes[column].name, kind, field, len(some), min(some))


def _absent(failing: Sequence[Failing], records: Sequence[Fields]) -> tuple[AbsentField, ...]:
    """Return the fields that are missing everywhere: most likely their names are wrong."""
    lfs: dict[str, list[str]] = {}
    for one in failing:
        # A KeyError may be of a table of the LF's own, if it is not of every record.
        if one.field is not None and (one.type != "KeyError" or one.records == len(records)):
            lfs.setdefault(one.field, []).append(one.name)
    return tuple(
        AbsentField(field, tuple(dict.fromkeys(names)))
        for field, names in lfs.items()
        if all(lookup(fields, field, ABSENT) is ABSENT for fields in records)
    )


_NAMED: Final = (
    r"the record has no field '(.+)'",
    r"field '(.+)' is .*, not .*",
    r"'(.+)' is .*, not one of .*",
    r"'(?:RecordView|types\.SimpleNamespace)' object has no attribute '(\w+)'.*",
)
"""Messages that name the field, as worded by templates, voters and records."""


def _unfit(read: Lifted | Python | None, batch: Batch) -> list[tuple[str, Mask]]:
    """Return the fields that a lifted LF reads, and where they are not of the type it needs."""
    reads = sorted(read.reads, key=str) if isinstance(read, Lifted) else []
    return [(p, ~kind.fits(batch.column(p))) for p, kind in reads if isinstance(p, str)]


def _field(fault: Fault, unfit: Sequence[tuple[str, Mask]]) -> str | None:
    """Return the field that made an LF fail; None if that cannot be told."""
    named = (*_NAMED, r"'(.+)'") if fault.type == "KeyError" else _NAMED
    matches = (re.fullmatch(pattern, fault.message, re.DOTALL) for pattern in named)
    match = next((match for match in matches if match is not None), None)
    if match is not None:
        return match[1]
    return next((ref for ref, mask in unfit if mask[fault.row]), None)
