"""Many windows as few columns: none that shifted is lost."""

from __future__ import annotations

import pytest

from tests.service.transactions import read
from tests.web.site_for_tests import Site, drifting
from tidegauge_probes.findings import SeriesKey, SeriesKind
from tidegauge_service.store.windows import queries
from tidegauge_service.web.charts import specs
from tidegauge_service.web.charts.histories import fewer_columns, fewer_points, group_size, history


@pytest.mark.parametrize(("windows", "size"), [(0, 1), (1, 1), (120, 1), (121, 2), (1_000, 9)])
def test_columns_stand_for_as_few_windows_as_fit(windows: int, size: int) -> None:
    assert group_size(windows, 120) == size


def test_a_column_shows_its_most_deviating_window(site: Site) -> None:
    row = drifting(site)  # windows 4 and 5 are shifted
    figures = read(site.database, queries.heat_map, row)
    fewer = fewer_columns(figures, 5)
    assert fewer.starts == (figures.starts[0], figures.starts[5])
    assert fewer.cells[0] == (figures.cells[0][4], figures.cells[0][5])
    assert all(specs.is_shifted(cell) for cell in fewer.cells[0])


def test_points_of_a_series_do_the_same(site: Site) -> None:
    row = drifting(site)
    found = read(site.database, history, row, SeriesKey(SeriesKind.BLIND_SPOT), 60)
    assert len(found.starts) == 6
    fewer = fewer_points(found, 4)
    assert fewer.starts == found.starts[::4]
    shares = [f.observed for f in fewer.figures if f is not None]
    assert shares == [pytest.approx(0.08), pytest.approx(0.24)]
