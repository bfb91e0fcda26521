"""The committed dashboards are as generated, and Grafana can read them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.dashboards.queries import Document, dashboards, panels, queries_of
from tidegauge_service.metrics.table import TABLE, Metric, MetricType, Origin

with warnings.catch_warnings():
    # The SDK prefers Grafana's second format; what Grafana provisions from files is the first.
    warnings.simplefilter("ignore", DeprecationWarning)
    from tidegauge_dashboards import generate

PANEL_TYPES = {"row", "stat", "table", "timeseries"}
UNITS = {"dateTimeAsIso", "percentunit", "recps", "s", "short"}
CUSTOM = {
    "custom.fillBelowTo",
    "custom.fillOpacity",
    "custom.lineStyle",
    "custom.lineWidth",
}
DEFAULT_CUSTOM = {"align", "fillOpacity", "inspect", "lineWidth", "showPoints", "spanNulls"}
TRANSFORMATIONS = {"merge", "organize"}
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
HISTOGRAM_SUFFIXES = ("", "_bucket", "_sum", "_count")
METRIC = re.compile(r"tidegauge_\w+")

ALL = dashboards()
each_dashboard = pytest.mark.parametrize("document", ALL.values(), ids=ALL)


def drawn(document: Document) -> Iterator[Document]:
    return (panel for panel in panels(document) if panel["type"] != "row")


def nested(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield every key and value at any depth."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key, inner
            yield from nested(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from nested(inner)


# -- Generated ------------------------------------------------------------------------------------


def test_the_committed_dashboards_are_what_is_generated() -> None:
    assert generate.differing() == []
    assert generate.main(["--check"]) == 0


def test_a_dashboard_changed_by_hand_fails_the_check(tmp_path: Path) -> None:
    shutil.copytree(generate.FOLDER, tmp_path, dirs_exist_ok=True)
    assert generate.differing(tmp_path) == []
    changed = tmp_path / "tidegauge-coverage.json"
    changed.write_text(changed.read_text().replace('"fillOpacity": 0', '"fillOpacity": 9'))
    (tmp_path / "left-over.json").write_text("{}")
    assert generate.differing(tmp_path) == ["left-over.json", "tidegauge-coverage.json"]
    generate.write(tmp_path)
    assert generate.differing(tmp_path) == []


def test_the_package_does_not_need_the_sdk() -> None:
    code = (
        "import sys; sys.modules['grafana_foundation_sdk'] = None\n"
        "import tidegauge_dashboards; print(len(tidegauge_dashboards.files()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert int(done.stdout) >= 4


# -- What Grafana expects -------------------------------------------------------------------------


@each_dashboard
def test_the_dashboard_names_itself(document: Document) -> None:
    assert document["schemaVersion"] == 42
    assert document["uid"].startswith("tidegauge-")
    assert document["title"]
    assert document["description"]
    assert "tidegauge" in document["tags"]


@each_dashboard
def test_nothing_is_left_for_an_import_dialogue(document: Document) -> None:
    keys = dict(nested(document))
    assert "__inputs" not in keys
    assert "${DS_" not in str(document)


@each_dashboard
def test_panel_ids_are_unique(document: Document) -> None:
    ids = [panel["id"] for panel in panels(document)]
    assert len(set(ids)) == len(ids)
    assert 0 not in ids


@each_dashboard
def test_panels_do_not_lie_on_each_other(document: Document) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels(document):
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells


@each_dashboard
def test_every_panel_has_a_title_a_description_and_a_source(document: Document) -> None:
    titles = [panel["title"] for panel in drawn(document)]
    assert len(set(titles)) == len(titles)
    for panel in drawn(document):
        assert panel["title"].strip()
        assert panel["description"].endswith("."), panel["title"]
        assert panel["datasource"] == SOURCE, panel["title"]
        assert panel["targets"], panel["title"]


@each_dashboard
def test_panel_types_units_and_options_are_known_ones(document: Document) -> None:
    for panel in panels(document):
        assert panel["type"] in PANEL_TYPES
        fields = panel.get("fieldConfig", {"defaults": {}, "overrides": []})
        assert fields["defaults"].get("unit", "short") in UNITS, panel["title"]
        assert set(fields["defaults"].get("custom", {})) <= DEFAULT_CUSTOM, panel["title"]
        for override in fields["overrides"]:
            assert override["matcher"]["id"] == "byName"
            for item in override["properties"]:
                assert item["id"] in CUSTOM | {"color", "unit"}, panel["title"]
                assert item["id"] != "unit" or item["value"] in UNITS
        assert {step["id"] for step in panel.get("transformations", ())} <= TRANSFORMATIONS


@each_dashboard
def test_every_time_series_has_a_unit_and_shows_its_legend(document: Document) -> None:
    for panel in drawn(document):
        if panel["type"] == "timeseries":
            assert panel["options"]["legend"]["showLegend"] is True
            assert "unit" in panel["fieldConfig"]["defaults"]
            assert all(target["legendFormat"] for target in panel["targets"])


@each_dashboard
def test_targets_of_a_panel_have_names_of_their_own(document: Document) -> None:
    for panel in drawn(document):
        names = [target["refId"] for target in panel["targets"]]
        assert len(set(names)) == len(names)


@each_dashboard
def test_overrides_name_series_that_are_there(document: Document) -> None:
    for panel in drawn(document):
        names = {target.get("legendFormat") for target in panel["targets"]}
        for step in panel.get("transformations", ()):
            names |= set(step["options"].get("renameByName", {}).values())
        for override in panel["fieldConfig"]["overrides"]:
            assert override["matcher"]["options"] in names
            for item in override["properties"]:
                assert item["id"] != "custom.fillBelowTo" or item["value"] in names


# -- Variables ------------------------------------------------------------------------------------


@each_dashboard
def test_query_variables_have_nothing_of_intervals(document: Document) -> None:
    for variable in document["templating"]["list"]:
        assert not [key for key in variable if key.startswith("auto")]


@each_dashboard
def test_the_data_source_is_a_variable_and_others_ask_it(document: Document) -> None:
    first, *others = document["templating"]["list"]
    assert (first["type"], first["name"], first["query"]) == (
        "datasource",
        "datasource",
        "prometheus",
    )
    assert all(variable["datasource"] == SOURCE for variable in others)


@each_dashboard
def test_a_band_is_drawn_around_one_series(document: Document) -> None:
    """``fillBelowTo`` names one series, so each variable has one value."""
    for variable in document["templating"]["list"]:
        assert variable["multi"] is False
        assert variable["includeAll"] is False


@each_dashboard
def test_variables_are_defined_before_they_are_used(document: Document) -> None:
    known: set[str] = set()
    for variable in document["templating"]["list"]:
        query = variable["query"]
        text = query if isinstance(query, str) else query["query"]
        assert set(re.findall(r"\$(\w+)", text)) <= known
        known.add(variable["name"])
    for title, expr in queries_of(document):
        assert set(re.findall(r"\$(\w+)", expr)) <= known | {"__rate_interval"}, title


# -- Expressions ----------------------------------------------------------------------------------


def known_names() -> dict[str, Metric]:
    suffixes = {MetricType.HISTOGRAM: HISTOGRAM_SUFFIXES}
    return {
        metric.name + suffix: metric
        for metric in TABLE
        for suffix in suffixes.get(metric.type, ("",))
    }


@each_dashboard
def test_expressions_name_only_metrics_that_there_are(document: Document) -> None:
    for title, expr in queries_of(document):
        names = METRIC.findall(expr)
        assert names, title
        assert set(names) <= set(known_names()), title


@each_dashboard
def test_expressions_use_only_labels_that_the_metric_has(document: Document) -> None:
    for title, expr in queries_of(document):
        for name, matchers in re.findall(r"(tidegauge_\w+)\{([^}]*)\}", expr):
            labels = set(re.findall(r"(\w+)=", matchers))
            assert labels <= set(known_names()[name].labels), (title, name)


@each_dashboard
def test_rates_are_taken_of_counters_over_the_rate_interval(document: Document) -> None:
    for title, expr in queries_of(document):
        taken = re.findall(r"rate\((tidegauge_\w+)\{[^}]*\}\[([^]]*)\]\)", expr)
        assert len(taken) == expr.count("rate("), title
        for name, interval in taken:
            assert known_names()[name].type is not MetricType.GAUGE, title
            assert interval == "$__rate_interval", title
        shown = set(METRIC.findall(expr)) - {name for name, _ in taken}
        assert not [n for n in shown if known_names()[n].type is not MetricType.GAUGE], title


@each_dashboard
def test_what_all_processes_show_alike_is_not_added_up(document: Document) -> None:
    for title, expr in queries_of(document):
        for name in METRIC.findall(expr):
            before = expr[: expr.index(name)].removesuffix("(rate(").removesuffix("(")
            operator = re.search(r"(max|sum|group)(?: by \([^)]*\))? ?$", before)
            assert operator is not None, (title, expr)
            shared = known_names()[name].origin is Origin.STATE
            assert (operator[1] != "sum") == shared, (title, expr)
