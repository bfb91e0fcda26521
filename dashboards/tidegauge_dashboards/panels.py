"""Panels as this project draws them: thin layers over grafana-foundation-sdk.

Every panel has a title and a description, shows its legend, and asks the data source that the
reader chose. Widths are in Grafana's 24 columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import dashboard as dashboard_builders
from grafana_foundation_sdk.builders import prometheus, stat, table, timeseries
from grafana_foundation_sdk.models import common, dashboard
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

SOURCE: Final = common.DataSourceRef(type_val="prometheus", uid="${datasource}")
"""The variable: a fixed uid would tie the dashboard to one Grafana."""

RATIO, SECONDS, COUNT, RATE = "percentunit", "s", "short", "recps"


@dataclass(frozen=True, slots=True)
class Query:
    """One PromQL expression and the name of its series, with Grafana's ``{{label}}``."""

    expr: str
    legend: str


@dataclass(frozen=True, slots=True)
class PanelText:
    """What a panel says about itself."""

    title: str
    description: str


def _targets(queries: Sequence[Query]) -> list[prometheus.Dataquery]:
    return [
        prometheus.Dataquery()
        .expr(q.expr)
        .legend_format(q.legend)
        .ref_id(chr(ord("A") + i))
        .range()
        for i, q in enumerate(queries)
    ]


def series(
    text: PanelText,
    queries: Sequence[Query],
    unit: str,
    *,
    span: int = 12,
    lowest: float | None = 0,
) -> timeseries.Panel:
    """Return lines over time; gaps stay gaps, because no data is not zero."""
    panel = (
        timeseries.Panel()
        .title(text.title)
        .description(text.description)
        .datasource(SOURCE)
        .targets([*_targets(queries)])
        .unit(unit)
        .span(span)
        .height(8)
        .line_width(1)
        .fill_opacity(0)
        .show_points(common.VisibilityMode.NEVER)
        .span_nulls(span_nulls=False)
        .legend(_legend())
        .tooltip(
            common_builders.VizTooltipOptions()
            .mode(common.TooltipDisplayMode.MULTI)
            .sort(common.SortOrder.DESCENDING)
        )
    )
    return panel if lowest is None else panel.min(lowest)


def _legend() -> common_builders.VizLegendOptions:
    return (
        common_builders.VizLegendOptions()
        .show_legend(show_legend=True)
        .display_mode(common.LegendDisplayMode.LIST)
        .placement(common.LegendPlacement.BOTTOM)
        .calcs([])
    )


OBSERVED, EXPECTED, LOW, HIGH = "observed", "expected", "low", "high"


def band(
    text: PanelText, exprs: Mapping[str, str], unit: str = RATIO, *, span: int = 12
) -> timeseries.Panel:
    """Return one observed figure against the band that the baseline expects.

    *exprs* has one expression, of one series, for each of observed, expected, low and high:
    ``fillBelowTo`` names a single series, so the variables in them must be single-select.
    """
    order = (HIGH, LOW, EXPECTED, OBSERVED)  # later ones are drawn over earlier ones
    panel = series(text, [Query(exprs[name], name) for name in order], unit, span=span)
    for name, properties in _BAND_STYLE.items():
        values = [dashboard.DynamicConfigValue(key, value) for key, value in properties.items()]
        panel = panel.override_by_name(name, values)
    return panel


def _colour(name: str) -> dict[str, str]:
    return {"fixedColor": name, "mode": "fixed"}


_BAND_STYLE: Final[Mapping[str, Mapping[str, Any]]] = {
    HIGH: {
        "color": _colour("blue"),
        "custom.lineWidth": 0,
        "custom.fillBelowTo": LOW,
        "custom.fillOpacity": 15,
    },
    LOW: {"color": _colour("blue"), "custom.lineWidth": 0},
    EXPECTED: {
        "color": _colour("blue"),
        "custom.lineStyle": {"fill": "dash", "dash": [8, 6]},
    },
    OBSERVED: {"color": _colour("orange"), "custom.lineWidth": 2},
}


def figure(
    text: PanelText,
    expr: str,
    unit: str,
    *,
    span: int = 4,
    red_from: float | None = None,
    words: Mapping[str, str] | None = None,
) -> stat.Panel:
    """Return the present value, large; "no data" where there is none.

    It is red from *red_from* on; *words* are shown instead of values.
    """
    steps = [dashboard.Threshold(value=None, color="green")]
    if red_from is not None:
        steps.append(dashboard.Threshold(value=red_from, color="red"))
    mapped = {
        value: dashboard.ValueMappingResult(text=word) for value, word in (words or {}).items()
    }
    return (
        stat.Panel()
        .title(text.title)
        .description(text.description)
        .datasource(SOURCE)
        .targets(
            [prometheus.Dataquery().expr(expr).legend_format(text.title).ref_id("A").instant()]
        )
        .unit(unit)
        .span(span)
        .height(4)
        .no_value("no data")
        .mappings([dashboard.ValueMap(options=mapped)] if mapped else [])
        .color_mode(common.BigValueColorMode.VALUE)
        .graph_mode(common.BigValueGraphMode.NONE)
        .thresholds(
            dashboard_builders.ThresholdsConfig()
            .mode(dashboard.ThresholdsMode.ABSOLUTE)
            .steps(steps)
        )
        .reduce_options(
            common_builders.ReduceDataOptions().calcs(["lastNotNull"]).values(values=False)
        )
    )


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column of a table: which field, what it is called, and in which unit it is."""

    field: str
    name: str
    unit: str | None = None


def listing(
    text: PanelText, exprs: Sequence[str], columns: Sequence[TableColumn], *, span: int = 24
) -> table.Panel:
    """Return the present series as rows. Expressions with the same labels share a row."""
    panel = (
        table.Panel()
        .title(text.title)
        .description(text.description)
        .datasource(SOURCE)
        .targets(
            [
                prometheus.Dataquery()
                .expr(expr)
                .format(PromQueryFormat.TABLE)
                .ref_id(chr(ord("A") + i))
                .instant()
                for i, expr in enumerate(exprs)
            ]
        )
        .span(span)
        .height(8)
        .no_value("none")
        .transformations(
            [
                dashboard.DataTransformerConfig("merge", options={}),
                dashboard.DataTransformerConfig("organize", options=_organize(columns)),
            ]
        )
    )
    for column in columns:
        if column.unit is not None:
            unit = dashboard.DynamicConfigValue("unit", column.unit)
            panel = panel.override_by_name(column.name, [unit])
    return panel


def _organize(columns: Sequence[TableColumn]) -> dict[str, Any]:
    return {
        "excludeByName": {"Time": True},
        "indexByName": {column.field: i for i, column in enumerate(columns)},
        "renameByName": {column.field: column.name for column in columns},
    }
