"""A database with streams, windows and alerts made by the store itself, and its page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from starlette.testclient import TestClient

from tests.alerts.builders import in_incidents
from tests.service.streams_for_tests import HOUR, START, write_stream
from tests.service.transactions import write
from tests.web.document import Document
from tidegauge_alerts.lifecycle.advance import advance
from tidegauge_alerts.model import Context, Rule
from tidegauge_probes import load
from tidegauge_probes.findings import Finding, SeriesKey, SeriesKind, Verdict
from tidegauge_probes.label_model import LabelModelKind
from tidegauge_probes.label_model.accuracy import Accuracy
from tidegauge_service.config.stream_file import load_stream
from tidegauge_service.store import registration, streams
from tidegauge_service.store.alerting import alerts
from tidegauge_service.store.engine import Database
from tidegauge_service.store.states import WindowState
from tidegauge_service.store.streams import EVALUATED, StreamRow
from tidegauge_service.store.windows import evaluation, precision
from tidegauge_service.store.windows.precision import ClassShare, LfPrecision, WindowPrecision
from tidegauge_service.web.pages.routes import pages

BASELINE = "base-1"
NOW = START + 1_000 * HOUR


class Site:
    """Streams to look at."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.database = Database(f"sqlite:///{folder}/web.db")
        self.database.upgrade()
        self.client = TestClient(self.app())

    def app(self) -> FastAPI:
        app = FastAPI()
        app.include_router(pages(self.database, lambda: NOW))
        return app

    def get(self, path: str = "/") -> Document:
        answer = self.client.get(path)
        assert answer.status_code == 200, answer.text
        return Document(answer.text)

    def stream(
        self,
        name: str = "spam",
        probes: Sequence[str] = ("check_out", "short"),
        partitions: int = 1,
        **changes: Any,
    ) -> StreamRow:
        """Register a stream with keyword LFs of these names; *changes*: of its stream file."""
        found = [{"name": p, "label": "SPAM", "keyword": {"any": ["x"]}} for p in probes]
        spec: dict[str, Any] = {"classes": ["HAM", "SPAM"], "probes": found}
        config = load_stream(write_stream(self._folder, spec, name=name, **changes))
        probe_set = load(config.probes, self._folder)
        row = write(self.database, registration.register, config, probe_set, NOW)
        starts = dict.fromkeys(range(partitions), 0)
        write(self.database, streams.seed_partitions, row.id, starts, NOW)
        return row

    def window(
        self,
        stream: StreamRow,
        number: int,
        *findings: Finding,
        state: WindowState = WindowState.COMPARED,
    ) -> None:
        """Evaluate a window with these findings, as the evaluator does."""
        start = START + number * HOUR
        context = Context(
            stream=stream.name,
            window_start_ms=start,
            window_ms=HOUR,
            probe_set=stream.probe_set,
            baseline=BASELINE,
        )
        with self.database.write() as connection:
            ids = evaluation.series_ids(connection, stream, [f.key for f in findings])
            evaluation.save_window(
                connection,
                stream,
                start,
                state=state,
                baseline=BASELINE,
                records=1_000,
                now_ms=NOW,
            )
            evaluation.save_findings(connection, stream, findings, ids)
            before = alerts.known(connection, stream.id, start - Rule().memory_windows * HOUR)
            after = in_incidents(advance(before, findings, Rule(), context), before, context)
            alerts.save(connection, stream.id, after.alerts, after.transitions)
            streams.move_cursor(connection, stream.id, EVALUATED, start + HOUR)

    def judged(
        self,
        stream: StreamRow,
        number: int,
        *lfs: LfPrecision,
        windows: int = 3,
        accuracy: Accuracy | None = None,
        kind: LabelModelKind = LabelModelKind.FULL,
        labels: int = 0,
        withheld: str = "",
    ) -> None:
        """Write what the label model says of a window: spam went from 40 to 20 %."""
        spam = ClassShare("SPAM", 0.4, 0.2 if windows else None)
        shares = () if withheld else (spam,)
        figures = (windows, windows * 1_000, shares, lfs, accuracy, kind, labels, withheld)
        found = WindowPrecision(START + number * HOUR, BASELINE, *figures)
        with self.database.write() as connection:
            precision.save(connection, stream, found)


def lf(probe: str, now: float | None = 0.9, *, changed: bool = False) -> LfPrecision:
    """Return an LF's precision, 90 % at baseline; None now if too little is known."""
    low, high = (None, None) if now is None else (now - 0.05, now + 0.05)
    return LfPrecision(probe, "SPAM", 0.9, 0.8, now, low, high, changed)


def finding(
    number: int,
    rate: float = 0.08,
    *,
    probe: str = "check_out",
    segment: str = "_all",
    kind: SeriesKind = SeriesKind.COVERAGE,
    verdict: Verdict | None = None,
) -> Finding:
    """Return a finding on 1,000 records with 8 % expected; it is shifted if far from that."""
    key = SeriesKey(kind, segment, "" if kind is SeriesKind.BLIND_SPOT else probe)
    far = abs(rate - 0.08) > 0.03
    rank = (rate - 0.08) * 500
    odds = (rate + 0.001) / (1 - rate) * 0.92 / 0.08
    return Finding(
        key,
        START + number * HOUR,
        round(rate * 1_000),
        1_000,
        verdict or (Verdict.SHIFTED if far else Verdict.OK),
        observed=rate,
        expected=0.08,
        low=0.05,
        high=0.11,
        effect=odds,
        p_value=1e-9 if far else 0.5,
        n_eff=500.0,
        rank=rank,
    )


def drifting(site: Site, **stream: Any) -> StreamRow:
    """Six windows; in the last two the LF check_out goes silent and the blind spot grows."""
    row = site.stream(**stream)
    for number in range(6):
        moved = number >= 4
        site.window(
            row,
            number,
            finding(number, 0.24 if moved else 0.08, kind=SeriesKind.BLIND_SPOT),
            finding(number, 0.004 if moved else 0.078),
            finding(number, probe="short"),
            finding(number, 0.5 if moved else 0.08, segment="party=D"),
        )
    return row
