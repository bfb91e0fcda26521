"""More LFs and classes than can be counted together: all else is followed."""

from __future__ import annotations

import random
from pathlib import Path

import sqlalchemy as sa
import structlog

from tests.service.streams_for_tests import HOUR, START, record, write_jsonl, write_stream
from tidegauge_service.clock import now_ms, to_iso
from tidegauge_service.config.settings import Settings
from tidegauge_service.config.stream_file import load_stream
from tidegauge_service.runtime.pipeline import open_pipeline
from tidegauge_service.store import schema
from tidegauge_service.store.engine import Database

LFS, CALIBRATION, LIVE, EACH = 1_200, 50, 12, 120
PROBES = {
    "classes": ["HAM", "SPAM"],
    "probes": [
        {"name": f"word{n}", "label": ["HAM", "SPAM"][n % 2], "keyword": {"any": [f"w{n}"]}}
        for n in range(LFS)
    ],
}


def texts(hour: int) -> list[str]:
    """Return an hour's texts: word 0 stands in every third, and is lost when live."""
    draw = random.Random(hour)
    lost = hour >= CALIBRATION + 2
    some = [[f"w{draw.randrange(1, LFS)}" for _ in range(3)] for _ in range(EACH)]
    return [
        " ".join(words + (["w0"] if n % 3 == 0 and not lost else []))
        for n, words in enumerate(some)
    ]


def test_1_200_lfs_are_followed_without_pairs(tmp_path: Path, database: Database) -> None:
    write_jsonl(
        tmp_path / "records.jsonl",
        (
            record(hour * EACH + n, text, ms=START + hour * HOUR + n * 20_000)
            for hour in range(CALIBRATION + LIVE)
            for n, text in enumerate(texts(hour))
        ),
    )
    baseline = {"from": to_iso(START), "until": to_iso(START + CALIBRATION * HOUR)}
    config = load_stream(write_stream(tmp_path, PROBES, baseline=baseline))
    with structlog.testing.capture_logs() as logs:
        pipeline = open_pipeline(config, Settings(), database, now_ms)
    assert "pairs_not_counted" in {entry["event"] for entry in logs}
    pipeline.run_to_end(lambda _: None)
    pipeline.close()
    with database.read() as connection:
        followed = set(connection.execute(sa.select(schema.series.c.series)).scalars())
        told = list(connection.execute(sa.select(schema.alert_transition.c.content)).scalars())
        alerts = [dict(row) for row in connection.execute(sa.select(schema.alert)).mappings()]
    assert {"coverage", "blind_spot", "overlap", "conflict"} <= followed
    assert not {"co_vote", "agreement", "class_share"} & followed
    assert any("word0" in str(alert) for alert in alerts), told
