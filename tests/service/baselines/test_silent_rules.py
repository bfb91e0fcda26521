"""Rules about figures that a baseline does not have: people hear that they cannot fire."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import structlog

from tests.probes.simulation import fit, layout_of, panes, wobbling
from tests.service.streams_for_tests import HOUR, START, record, write_jsonl, write_stream
from tests.web.site_for_tests import BASELINE, Site
from tests.web.test_false_alarms import record as record_forecast
from tidegauge_alerts.rules import parse_rule
from tidegauge_service.baselines.silent_rules import NO_MODEL, NOT_FOLLOWED, silent_rules
from tidegauge_service.clock import now_ms, to_iso
from tidegauge_service.config.settings import Settings
from tidegauge_service.config.stream_file import load_stream
from tidegauge_service.runtime.pipeline import open_pipeline
from tidegauge_service.store.engine import Database

SHARE = "class_share to SPAM above 60 %"
PRECISION = "precision of thanks to HAM below 80 % for 3 windows"


def test_what_the_baseline_has_no_figures_for_is_named_with_the_reason() -> None:
    rng = np.random.default_rng(1)
    fitted = fit(list(panes(rng, wobbling(rng, [0.1, 0.2], 3, 0.1), 200)))
    texts = [
        "class_share to SPAM above 60 %",
        "precision of lf0 to HAM below 80 %",
        "coverage of lf0 in channel=mail below 1 %",
        "coverage of lf0 below 1 %",
    ]
    found = silent_rules(map(parse_rule, texts), fitted)
    whys = (NO_MODEL, NO_MODEL, NOT_FOLLOWED)
    assert found == tuple(
        f"Rule '{text}' cannot fire: {why}" for text, why in zip(texts, whys, strict=False)
    )
    assert layout_of(2).probes == fitted.plan.layout.probes


@pytest.mark.parametrize("attached", [False, True])
def test_they_are_named_in_the_log_once_the_baseline_is_known(
    tmp_path: Path, sqlite_database: Database, *, attached: bool
) -> None:
    rows = [
        record(n, "free pills" if n % 3 else "thanks a lot", ms=START + n * HOUR // 20)
        for n in range(200)
    ]
    write_jsonl(tmp_path / "records.jsonl", rows)
    spans = {"from": to_iso(START), "until": to_iso(START + 5 * HOUR)}
    chosen = {"path": "records.jsonl"} if attached else spans
    rules = {"rules": [SHARE, PRECISION, "coverage of thanks below 1 %"]}
    config = load_stream(write_stream(tmp_path, baseline=chosen, alerts=rules))
    with structlog.testing.capture_logs() as logs:
        pipeline = open_pipeline(config, Settings(), sqlite_database, now_ms)
        assert attached is any(entry["event"] == "rule_silent" for entry in logs), "at the start"
        pipeline.run_to_end(lambda _: None)
        pipeline.close()
    said = [entry["advice"] for entry in logs if entry["event"] == "rule_silent"]
    assert {text.split("'")[1] for text in said} == {SHARE, PRECISION}


def test_they_are_named_on_the_page(tmp_path: Path) -> None:
    site = Site(tmp_path)
    record_forecast(site, 0.0002, silent_rules=[f"Rule '{SHARE}' cannot fire: <b>why</b>"])
    page = site.get()
    assert f"Rule '{SHARE}' cannot fire: <b>why</b>" in page.text
    assert not page.all("b")
    assert BASELINE in page.text
