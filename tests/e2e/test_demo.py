"""`tidegauge demo --once`: the first minute of a newcomer."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.running import last_json, tidegauge


def test_the_demo_alerts_and_suggests_within_a_minute(tmp_path: Path) -> None:
    done = tidegauge("demo", "--once", "--json", cwd=tmp_path, timeout=60)
    found = last_json(done.stdout)
    assert found["windows"] >= 66
    assert found["records"] >= 66 * 300 * 0.99
    assert found["url"].startswith("http://127.0.0.1:")
    assert found["candidates"] > 0
    probes = {alert["probe"] for alert in found["alerts"]}
    assert "mentions_vicodin" in probes
    [vicodin] = [
        a
        for a in found["alerts"]
        if a["probe"] == "mentions_vicodin" and a["series"] == "coverage" and a["segment"] == "_all"
    ]
    assert vicodin["observed"] < 0.02
    assert vicodin["expected"] > 0.06
    assert list(tmp_path.iterdir()) == [], "the demo leaves nothing behind"


def test_the_demo_says_what_to_look_at(tmp_path: Path) -> None:
    done = tidegauge("demo", "--once", cwd=tmp_path, timeout=60)
    said = done.stdout + done.stderr
    for part in ("ALERT", "mentions_vicodin", "/login?token=", "candidates", "token:", "▁"):
        assert part in said
