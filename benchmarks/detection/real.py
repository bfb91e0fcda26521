"""Real records without drift: their votes are permuted in time, so that every alert is false.

Volumes stay as they were, hour by hour; what the LFs say of the records is dealt out anew. The
records are read from the folder that TIDEGAUGE_DATA names, and sets that are not there are skipped.
"""

from __future__ import annotations

import gzip
import json
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from benchmarks.detection.traffic import DAY_MS, HOUR_MS, MONDAY_MS, Ints, seeded
from tidegauge_probes import ProbeSet, engine
from tidegauge_probes.counts import panes
from tidegauge_probes.counts.panes import PaneCounts
from tidegauge_probes.drift import baseline as baselines
from tidegauge_probes.drift.baseline import Baseline
from tidegauge_probes.labeling.templates import TemplateSpec
from tidegauge_probes.model import Layout, VoteMatrix

Outcomes = npt.NDArray[np.int8]

DATA: Final = "TIDEGAUGE_DATA"

CONGRESS: Final = (
    "impeachment", "trump", "covid", "coronavirus", "health", "families", "workers", "police",
    "veterans", "china", "border", "vote", "women", "small business", "students", "climate",
    "military", "prayers", "tune", "funding",
)  # fmt: skip
STORIES: Final = (
    "google", "show hn", "ask hn", "apple", "open source", "python", "linux", "startup", "how to",
    "why", "facebook", "ai", "bitcoin", "rust", "security", "javascript", "covid", "[pdf]",
    "github", "the",
)  # fmt: skip
COMMENTS: Final = (
    "check out", "subscribe", "http", "my channel", "please", "song", "love", "shakira", "views",
    "youtube.com", "money", "katy",
)  # fmt: skip


@dataclass(frozen=True)
class VotedRecords:
    """Votes, int8 [N, m], of records in windows ``place``, int64 [N], ``window_ms`` long."""

    name: str
    layout: Layout
    outcomes: Outcomes
    place: Ints
    window_ms: int

    def permuted(self, seed: int, run: int) -> Iterator[tuple[int, PaneCounts]]:
        """Yield start and counts of the windows that have records, their votes dealt out anew."""
        for start, votes in self.dealt(seed, run):
            yield start, self.count(votes)

    def dealt(self, seed: int, run: int) -> Iterator[tuple[int, Outcomes]]:
        """Yield start and votes of the same windows."""
        dealt = self.outcomes[seeded(seed, self.name, run).permutation(len(self.outcomes))]
        ends = np.flatnonzero(np.diff(self.place, append=self.place[-1] + 1)) + 1
        for begin, end in zip(np.append(0, ends[:-1]), ends, strict=True):
            yield MONDAY_MS + int(self.place[begin]) * self.window_ms, dealt[begin:end]

    def count(self, votes: Outcomes) -> PaneCounts:
        """Count the votes of a window."""
        matrix = VoteMatrix(votes, np.zeros((len(votes), 0), np.bool_), np.zeros(votes.shape[1]))
        return panes.fold(matrix, len(self.layout.classes), {})


def fit(records: VotedRecords, windows: Sequence[tuple[int, PaneCounts]]) -> Baseline:
    """Return the baseline of some windows."""
    return baselines.fit(
        dict(windows),
        layout=records.layout,
        probe_set="benchmark",
        window_ms=records.window_ms,
        source={},
    )


def sets() -> dict[str, VotedRecords]:
    """Return the sets that are at hand, by name; none where TIDEGAUGE_DATA is not set."""
    folder = Path(os.environ.get(DATA, "/nowhere"))
    found: dict[str, VotedRecords] = {}
    for name, (file, window_ms, lfs) in _TIMED.items():
        if (path := folder / file).exists():
            found[name] = _timed(name, _lines(path), window_ms, lfs)
    for path in sorted((folder / "lf_votes").glob("*.jsonl.gz")):
        name = path.name.partition(".")[0]
        found[name] = _drawn(name, *_voted(path))
    if (path := folder / "youtube_spam.jsonl.gz").exists():
        probes = ProbeSet.of(_keywords(COMMENTS), classes=("a", "b"))
        votes = engine.run(probes, [{"text": r["text"]} for r in _lines(path)]).outcomes
        found["comments"] = _drawn("comments", probes.layout, votes)
    return found


def timed(name: str, window_ms: int) -> VotedRecords | None:
    """Return a set with times in windows of another length; None if it is not at hand."""
    file, _, lfs = _TIMED[name]
    path = Path(os.environ.get(DATA, "/nowhere")) / file
    return _timed(name, _lines(path), window_ms, lfs) if path.exists() else None


def drawn(name: str) -> VotedRecords | None:
    """Return a set of other people's votes; None if it is not at hand."""
    path = Path(os.environ.get(DATA, "/nowhere")) / "lf_votes" / f"{name}.jsonl.gz"
    return _drawn(name, *_voted(path)) if path.exists() else None


def _lines(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def _keywords(words: Sequence[str]) -> list[TemplateSpec]:
    return [_template(word, {"keyword": {"field": "text", "any": [word]}}) for word in words]


def _template(name: str, condition: Mapping[str, Any]) -> TemplateSpec:
    label = "ab"[zlib.crc32(name.encode()) % 2]
    return TemplateSpec.model_validate({"name": name, "label": label, **condition})


def _market() -> list[TemplateSpec]:
    bounds: dict[str, tuple[float, ...]] = {
        "nswprice": (0.03, 0.06, 0.1),
        "nswdemand": (0.25, 0.45, 0.65),
    }
    bounds |= {"vicprice": (0.003, 0.005), "vicdemand": (0.3, 0.5), "transfer": (0.4, 0.6)}
    return [
        _template(f"{field} {side} {bound}", {"numeric": {"field": field, side: bound}})
        for field, some in bounds.items()
        for bound in some
        for side in ("above", "below")
    ]


_TIMED: Final[Mapping[str, tuple[str, int, Sequence[TemplateSpec]]]] = {
    "congress": ("congress_tweets_2020.jsonl.gz", 6 * HOUR_MS, _keywords(CONGRESS)),
    "stories": ("hn_daily_2010_2026.jsonl.gz", 7 * DAY_MS, _keywords(STORIES)),
    "market": ("elec2_1996_1998.jsonl.gz", DAY_MS, _market()),
}


def _timed(
    name: str, records: list[dict[str, Any]], window_ms: int, lfs: Sequence[TemplateSpec]
) -> VotedRecords:
    probes = ProbeSet.of(lfs, classes=("a", "b"))
    bare = [r.get("features") or {"text": r["text"]} for r in records]
    times = [datetime.fromisoformat(r["timestamp"]).timestamp() * 1000 for r in records]
    place = np.array(times, dtype=np.int64) // window_ms
    votes = engine.run(probes, bare).outcomes
    return VotedRecords(name, probes.layout, votes, place - place[0], window_ms)


def _voted(path: Path) -> tuple[Layout, Outcomes]:
    votes = np.array([r["votes"] for r in _lines(path)], dtype=np.int8)
    classes = int(votes.max()) + 1
    labels = tuple(tuple(np.unique(v[v >= 0]).tolist()) for v in votes.T)
    names = tuple(f"lf{j}" for j in range(votes.shape[1]))
    return Layout(names, tuple(map(str, range(classes))), labels), votes


DRAWN, OF_DRAWN = 1_000, 200
"""Windows, and records in each, of sets without times: drawn again and again."""


def _drawn(name: str, layout: Layout, votes: Outcomes) -> VotedRecords:
    rows = seeded(0, name).integers(0, len(votes), DRAWN * OF_DRAWN)
    place = np.repeat(np.arange(DRAWN, dtype=np.int64), OF_DRAWN)
    return VotedRecords(name, layout, votes[rows], place, HOUR_MS)
