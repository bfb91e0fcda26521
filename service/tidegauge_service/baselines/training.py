"""Fit a baseline from training data: records in a file, or a vote matrix."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tidegauge_probes import engine
from tidegauge_probes.counts import panes
from tidegauge_probes.counts.panes import PaneCounts
from tidegauge_probes.drift import baseline as baselines
from tidegauge_probes.drift.baseline import Baseline
from tidegauge_probes.errors import BaselineError
from tidegauge_probes.label_model import LabelModel, kinds
from tidegauge_probes.label_model.accuracy import MIN_GOLD, MOST_GOLD, Gold
from tidegauge_probes.labeling.probe_set import ProbeSet
from tidegauge_probes.model import ABSTAIN, Outcomes, Record, VoteMatrix, lookup
from tidegauge_service.baselines.class_balance import Floats, class_balance
from tidegauge_service.baselines.training_file import BASELINE_CSV, training_file
from tidegauge_service.clock import Clock, window_start
from tidegauge_service.config.sources import CsvDialect
from tidegauge_service.config.stream_file import StreamConfig
from tidegauge_service.ingest.codec.codec import Codec
from tidegauge_service.ingest.copies import keys_of
from tidegauge_service.ingest.fold import rows_of, with_texts
from tidegauge_service.ingest.segments import memberships

BATCH = 5_000

MOST_VOTES = 50_000
"""Records of which the label model is fitted, drawn uniformly: more would cost memory and seconds,
and tell little."""

UNTIMED = -1
"""Key of the counts of records without a time: counted, not calibrated on."""

Advance = Callable[[int], None]


def fit_records(
    config: StreamConfig,
    probe_set: ProbeSet,
    path: Path,
    clock: Clock,
    advance: Advance | None = None,
    *,
    gold: str | None = None,
    balance: Mapping[str, float] | None = None,
    csv: CsvDialect | None = None,
    encoding_from: str = BASELINE_CSV,
) -> Baseline:
    """Run the LFs over training records (JSONL, CSV, Parquet) and freeze what they did.

    *gold*: path of a field with the true class, where it is known. Those records must be drawn from
    all traffic: they tell the class shares and how right each LF is (``label_model.labels``), and,
    if the ProbeSet has a ``prediction``, how right the deployed model is (``accuracy``).
    *balance*: the share of each class, if known.
    *csv*: how the file is written, where it differs from the stream's own files. *encoding_from*:
    the setting or option that says so.
    *advance* hears the number of records after each batch. Inputs that cannot be read as records
    are counted in the baseline's source; BaselineError if nothing is left. SourceError if the file
    cannot be read, or is not in the encoding of the stream's files.
    """
    source = training_file(config, path, csv, encoding_from)
    codec = Codec(config.record, config.limits, clock)
    windows: dict[int, PaneCounts] = {}
    shares = class_balance(balance, probe_set.layout.classes)
    kept = VoteSample(MOST_VOTES)
    labelled = None if gold is None else _Labelled(probe_set, gold)
    rejected = 0
    for inputs in source.batches(BATCH):
        decoded = [codec.decode(raw) for raw in inputs]
        records = [item for item in decoded if isinstance(item, Record)]
        rejected += len(decoded) - len(records)
        matrix = engine.run(probe_set, [record.fields for record in records])
        unlabelled = matrix.outcomes
        if labelled is not None:
            unlabelled = labelled.add(records, matrix.outcomes)
        kept.add(unlabelled)
        for start, pane in count_by_window(config, probe_set, records, matrix, windows).items():
            windows[start] = windows[start] + pane if start in windows else pane
        if advance is not None:
            advance(len(inputs))
    facts: dict[str, object] = {
        "path": path.name,
        "rejected": rejected,
        "window_ms": config.window,
    }
    if balance is not None:
        facts["balance"] = dict(balance)
    if labelled is not None:
        facts |= {"gold": gold, "gold_records": labelled.records}
        labelled.refuse_none()
        if missing := labelled.missing:
            facts["gold_missing"] = missing
    return _freeze(config, probe_set, windows, facts, kept, labelled, shares)


def count_by_window(
    config: StreamConfig,
    probe_set: ProbeSet,
    records: Sequence[Record],
    matrix: VoteMatrix,
    running: Mapping[int, PaneCounts],
) -> dict[int, PaneCounts]:
    """Return the counts of a batch by window: window start in ms → counts.

    *running* are the counts before it, whose segments stay as they are (``memberships``).
    """
    slices = [probe.name for probe in probe_set.slices]
    by_window: dict[int, list[int]] = {}
    for row, record in enumerate(records):
        start = window_start(record.timestamp_ms, config.window)
        by_window.setdefault(start, []).append(row)
    found, keys = {}, keys_of(config, records)
    for start, rows in by_window.items():
        part = rows_of(matrix, np.array(rows))
        fields = [records[row].fields for row in rows]
        kept = memberships(
            fields,
            config.segment_by,
            part,
            slices,
            known=running[start].segments if start in running else (),
            cap=config.limits.max_segments,
        )
        pane = panes.fold(part, probe_set.cardinality, kept)
        if keys is not None:
            pane = with_texts(pane, part, keys[rows], kept, running.get(start))
        found[start] = pane
    return found


class VoteSample:
    """The outcomes of at most *most* records, drawn uniformly, in the records' order."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._rng = np.random.default_rng(0)  # the same records give the same baseline
        self._priorities = np.empty(0)
        self._parts: list[Outcomes] = []
        self.seen = 0

    def add(self, outcomes: Outcomes) -> None:
        """Draw among these, too; those of the lowest priorities stay."""
        self._priorities = np.append(self._priorities, self._rng.random(len(outcomes)))
        self._parts.append(outcomes)
        self.seen += len(outcomes)
        if len(self._priorities) > 2 * self._most:
            self._parts = [self.drawn()]
            self._priorities = self._priorities[self._lowest()]

    def drawn(self) -> Outcomes:
        """Return int8 [n, m]."""
        return np.concatenate(self._parts)[self._lowest()]

    def _lowest(self) -> npt.NDArray[np.bool_]:
        if len(self._priorities) <= self._most:
            return np.ones(len(self._priorities), dtype=np.bool_)
        limit = np.partition(self._priorities, self._most - 1)[self._most - 1]
        return np.asarray(self._priorities <= limit)


class _Labelled:
    """The records with a gold label."""

    def __init__(self, probe_set: ProbeSet, field: str) -> None:
        deployed = probe_set.deployed
        self._model = deployed[0] if len(deployed) == 1 else None
        self._field = field
        self._classes = {name: k for k, name in enumerate(probe_set.layout.classes)}
        self._predicted = VoteSample(MOST_GOLD)
        self.kept = VoteSample(MOST_VOTES)
        """Votes of all of them, the label in one more column."""

    @property
    def records(self) -> int:
        """How many have a label."""
        return self.kept.seen

    def add(self, records: Sequence[Record], outcomes: Outcomes) -> Outcomes:
        """Take those with a label, return the outcomes of the others.

        BaselineError if a label is no class.
        """
        labels = np.array([self._label(record) for record in records], dtype=np.int8)
        known = labels >= 0
        self.kept.add(np.column_stack([outcomes[known], labels[known]]))
        if self._model is not None:
            both = known & (outcomes[:, self._model] >= 0) if len(records) else known
            self._predicted.add(np.column_stack([outcomes[both], labels[both]]))
        return outcomes[~known]

    @property
    def missing(self) -> list[str]:
        """The classes that no label names."""
        seen = set(self.kept.drawn()[:, -1].tolist())
        return [name for name, k in self._classes.items() if k not in seen]

    def refuse_none(self) -> None:
        """BaselineError if no record has a label."""
        if not self.records:
            msg = f"no record has a gold label at '{self._field}': check the field"
            raise BaselineError(msg)

    def _label(self, record: Record) -> int:
        value = lookup(record.fields, self._field)
        if value is None or value == "":
            return ABSTAIN
        label = self._classes.get(str(value))
        if label is None and type(value) is int and 0 <= value < len(self._classes):
            label = value
        if label is None:
            msg = (
                f"record '{record.id}' has {value!r} at '{self._field}', which is not one of the "
                f"classes {', '.join(self._classes)}"
            )
            raise BaselineError(msg)
        return label

    def gold(self) -> Gold | None:
        """Return a uniform sample of those that the deployed model predicts, too.

        None without a deployed model, or of too few.
        """
        if self._model is None or self._predicted.seen < MIN_GOLD:
            return None
        drawn = self._predicted.drawn()
        labels = drawn[:, -1].astype(np.int64)
        return Gold(drawn[:, :-1], labels, self._model, len(self._classes))


def fit_votes(
    config: StreamConfig,
    probe_set: ProbeSet,
    path: Path,
    *,
    balance: Mapping[str, float] | None = None,
) -> Baseline:
    """Freeze a vote matrix (.npy, or the first array of a .npz), e.g. Snorkel's L_train.

    int [n, m], −1 for abstain, columns in the ProbeSet's order. BaselineError otherwise.
    """
    votes = _read_votes(path)
    m, k = len(probe_set.probes), probe_set.cardinality
    if votes.ndim != 2 or votes.shape[1] != m:  # noqa: PLR2004
        msg = (
            f"{path} has shape {votes.shape}, not (records, {m}): one column per LF of the ProbeSet"
        )
        raise BaselineError(msg)
    if not np.issubdtype(votes.dtype, np.integer):
        msg = f"{path} holds {votes.dtype}, not integers: save L as it came from the applier"
        raise BaselineError(msg)
    if votes.size and (votes.min() < ABSTAIN or votes.max() >= k):
        msg = f"{path} has votes {votes.min()}…{votes.max()}; the ProbeSet has classes 0…{k - 1}"
        raise BaselineError(msg)
    outcomes = votes.astype(np.int8)
    matrix = VoteMatrix(outcomes, np.zeros((len(votes), 0), np.bool_), np.zeros(m))
    kept = VoteSample(MOST_VOTES)
    kept.add(outcomes)
    windows = {UNTIMED: panes.fold(matrix, k, {})}
    facts: dict[str, object] = {"votes": path.name}
    if balance is not None:
        facts["balance"] = dict(balance)
    shares = class_balance(balance, probe_set.layout.classes)
    return _freeze(config, probe_set, windows, facts, kept, None, shares)


def _read_votes(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
    try:
        with path.open("rb") as file:  # ours: of a broken archive, np.load leaves its own open
            loaded = np.load(file, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                return loaded
            if not loaded.files:
                msg = f"{path} contains no array"
                raise BaselineError(msg)
            return np.asarray(loaded[loaded.files[0]])
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        msg = f"cannot read the vote matrix {path}: {error}"
        raise BaselineError(msg) from error


def _freeze(  # noqa: PLR0917
    config: StreamConfig,
    probe_set: ProbeSet,
    windows: dict[int, PaneCounts],
    facts: dict[str, object],
    kept: VoteSample,
    labelled: _Labelled | None,
    balance: Floats | None,
) -> Baseline:
    return baselines.fit(
        {start: pane.settled() for start, pane in windows.items()},
        layout=probe_set.layout,
        probe_set=probe_set.id,
        window_ms=config.window,
        source=facts,
        slices=[probe.name for probe in probe_set.slices],
        model=_label_model(probe_set, kept, labelled, balance) if windows else None,
        gold=None if labelled is None else labelled.gold(),
        civil=config.civil,
    )


def _label_model(
    probe_set: ProbeSet,
    kept: VoteSample,
    labelled: _Labelled | None,
    balance: Floats | None,
) -> LabelModel | None:
    """Fit from samples; a row stands for as many records as its sample leaves out."""
    k, aside = probe_set.cardinality, probe_set.deployed
    outcomes = kept.drawn()
    if labelled is None:
        return kinds.fit_if_identified(outcomes, k, aside=aside, balance=balance)
    known = labelled.kept.drawn()
    gold = np.concatenate([np.full(len(outcomes), ABSTAIN), known[:, -1]])
    parts = ((outcomes, kept.seen), (known, labelled.kept.seen))
    weights = np.concatenate([np.full(len(part), seen / max(len(part), 1)) for part, seen in parts])
    whole = np.concatenate([outcomes, known[:, :-1]])
    return kinds.fit_if_identified(
        whole,
        k,
        None if (weights == 1).all() else weights,
        aside,
        balance=balance,
        gold=gold,
    )
