"""What Prometheus pages for is what receivers were notified of."""

from __future__ import annotations

from pathlib import Path

from tests.service.metrics.scrape import shown
from tests.web.site_for_tests import Site, finding


def test_a_silent_reopening_is_firing_but_not_notified(tmp_path: Path) -> None:
    """It shifts, recovers and shifts again: receivers hear nothing of it."""
    site = Site(tmp_path)
    row = site.stream()
    notified, firing = [], []
    for number, rate in enumerate([0.004, *[0.08] * 6, 0.004]):
        site.window(row, number, finding(number, rate))
        notified.append(shown(site.database, "alerts_notified"))
        states = shown(site.database, "alerts")
        firing.append([labels for labels in states if "firing" in labels])
    assert list(notified[0].values()) == [1.0]
    assert (notified[6], firing[6]) == ({}, []), "recovered"
    assert notified[7] == {}
    assert len(firing[7]) == 1, "it fires again"
