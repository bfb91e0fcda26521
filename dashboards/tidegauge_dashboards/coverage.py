"""The dashboard "LF coverage": how often labeling functions fire, against their baseline.

Every process of tidegauge shows the same shared state, so an expression takes the ``max`` over
the processes (their label is ``instance``); figures of single processes are summed.
"""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.builders import prometheus
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard

from tidegauge_dashboards.panels import (
    COUNT,
    EXPECTED,
    HIGH,
    LOW,
    OBSERVED,
    RATE,
    RATIO,
    SECONDS,
    SOURCE,
    PanelText,
    Query,
    TableColumn,
    band,
    figure,
    listing,
    series,
)

UID: Final = "tidegauge-coverage"

STREAM: Final = 'stream="$stream"'
SEGMENT: Final = f'{STREAM},segment="$segment"'
PROBE: Final = f'{SEGMENT},probe="$probe"'

WHEN: Final = "Plotted at scrape time, which in a replay differs from the records' own time."


def shared(metric: str, matchers: str, by: str = "") -> str:
    """Return the figure that all processes share, for each value of the labels *by*."""
    grouping = f" by ({by})" if by else ""
    return f"max{grouping} (tidegauge_{metric}{{{matchers}}})"


def rate_of(metric: str, by: str, per: str) -> str:
    """Return a shared counter's rate, summed over the label *per* within each *by*."""
    labels = ", ".join(part for part in (by, per) if part)
    inner = f"max by ({labels}) (rate(tidegauge_{metric}{{{STREAM}}}[$__rate_interval]))"
    return f"sum by ({by}) ({inner})" if by else f"sum({inner})"


def counted(metric: str, state: str, by: str) -> str:
    """Return how many are in a state: 0, not "no data", where the stream is there and has none."""
    matchers = f'{STREAM},state="{state}"'
    none = f"0 * {shared('window_duration_seconds', STREAM)}"
    return f"sum({shared(metric, matchers, by)}) or {none}"


def band_of(metric: str, matchers: str) -> dict[str, str]:
    """Return the four expressions of a share and its baseline band."""
    return {
        OBSERVED: shared(f"{metric}_ratio", matchers),
        EXPECTED: shared(f"{metric}_expected_ratio", matchers),
        LOW: shared(f"{metric}_low_ratio", matchers),
        HIGH: shared(f"{metric}_high_ratio", matchers),
    }


# -- Variables and annotations ----------------------------------------------------------------


def _source() -> builders.DatasourceVariable:
    return builders.DatasourceVariable("datasource").label("Prometheus").type("prometheus")


def _choice(name: str, label: str, query: str) -> builders.QueryVariable:
    """Return a single-select variable: a band is drawn around one series only."""
    return (
        builders.QueryVariable(name)
        .label(label)
        .datasource(SOURCE)
        .query(
            {"qryType": 1, "query": query, "refId": "PrometheusVariableQueryEditor-VariableQuery"}
        )
        .refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(dashboard.VariableSort.ALPHABETICAL_ASC)
        .multi(multi=False)
        .include_all(include_all=False)
        .allow_custom_value(allow_custom_value=False)
    )


def _firing_annotation() -> builders.AnnotationQuery:
    expr = f'max by (severity, kind) (tidegauge_alerts{{{STREAM},state="firing"}}) > 0'
    return (
        builders.AnnotationQuery()
        .name("Firing alerts")
        .datasource(SOURCE)
        .enable(enable=True)
        .hide(hide=False)
        .icon_color("red")
        .target(prometheus.Dataquery().expr(expr).ref_id("Anno").range())
        .expr(expr)
        .step("60s")
        .title_format("{{severity}}: {{kind}}")
        .text_format("alerts of this severity and kind were firing")
    )


# -- Panels -----------------------------------------------------------------------------------


def _now() -> list[Builder[dashboard.Panel]]:
    """Return the first row: is what follows worth reading."""
    return [
        figure(
            PanelText("Firing alerts", "Alerts of this stream that are firing, of any severity."),
            counted("alerts", "firing", "severity, kind"),
            COUNT,
            red_from=1,
        ),
        figure(
            PanelText(
                "Blind spot", "Share of records in the last window on which every LF abstains."
            ),
            shared("blind_spot_ratio", SEGMENT),
            RATIO,
        ),
        figure(
            PanelText("Records in the last window", "Number of records behind the figures below."),
            shared("window_records", SEGMENT),
            COUNT,
        ),
        figure(
            PanelText(
                "Since the last evaluation",
                "Wall-clock time since a window was last evaluated. Longer than a few windows "
                "while records arrive means that the stream is stuck.",
            ),
            f"time() - {shared('window_evaluated_timestamp_seconds', STREAM)}",
            SECONDS,
        ),
        figure(
            PanelText("Candidates waiting", "Records proposed for labeling."),
            counted("candidates", "proposed", "state"),
            COUNT,
        ),
        figure(
            PanelText(
                "Learning",
                "Whether the baseline is still learning: only large shifts are reported.",
            ),
            shared("stream_learning", STREAM),
            COUNT,
            words={"0": "no", "1": "yes"},
        ),
    ]


def _coverage() -> list[Builder[dashboard.Panel]]:
    deviation = (
        f"{shared('lf_coverage_ratio', SEGMENT, 'probe')}"
        f" - {shared('lf_coverage_expected_ratio', SEGMENT, 'probe')}"
    )
    return [
        band(
            PanelText(
                "Coverage of $probe against its baseline",
                "Share of records on which the LF votes. 99 % of quiet windows of this size lie "
                f"within the band. {WHEN}",
            ),
            band_of("lf_coverage", PROBE),
        ),
        band(
            PanelText(
                "Blind spot against its baseline",
                "Share of records on which every LF abstains: a rise means a topic that no LF "
                f"knows. {WHEN}",
            ),
            band_of("blind_spot", SEGMENT),
        ),
        series(
            PanelText("Coverage of each LF", f"Share of records on which each LF votes. {WHEN}"),
            [Query(shared("lf_coverage_ratio", SEGMENT, "probe"), "{{probe}}")],
            RATIO,
        ),
        series(
            PanelText(
                "Deviation from the baseline",
                "Coverage minus what the baseline expects, in percentage points: 0 is no change.",
            ),
            [Query(deviation, "{{probe}}")],
            RATIO,
            lowest=None,
        ),
    ]


def _traffic() -> list[Builder[dashboard.Panel]]:
    return [
        band(
            PanelText(
                "Volume against its baseline",
                "Records of a window, whatever the LFs say of them. 99 % of quiet windows of this "
                f"time of day and week lie within the band. {WHEN}",
            ),
            {
                OBSERVED: shared("volume_records", STREAM),
                EXPECTED: shared("volume_expected_records", STREAM),
                LOW: shared("volume_low_records", STREAM),
                HIGH: shared("volume_high_records", STREAM),
            },
            COUNT,
        ),
        series(
            PanelText(
                "Share of each segment value",
                "Of the records of its field; `_other` takes the values that are not followed, "
                f"new ones among them. {WHEN}",
            ),
            [Query(shared("segment_share_ratio", STREAM, "segment"), "{{segment}}")],
            RATIO,
        ),
    ]


def _quality() -> list[Builder[dashboard.Panel]]:
    return [
        series(
            PanelText(
                "Agreement of each LF",
                "Share of overlapping votes that no other LF contradicts.",
            ),
            [Query(shared("lf_agreement_ratio", SEGMENT, "probe"), "{{probe}}")],
            RATIO,
            span=8,
        ),
        series(
            PanelText(
                "Conflict of each LF", "Share of the LF's votes that another LF contradicts."
            ),
            [Query(shared("lf_conflict_ratio", SEGMENT, "probe"), "{{probe}}")],
            RATIO,
            span=8,
        ),
        series(
            PanelText(
                "Errors of each LF",
                "Share of records on which the LF failed. Failures are never counted as abstains.",
            ),
            [Query(shared("lf_error_ratio", SEGMENT, "probe"), "{{probe}}")],
            RATIO,
            span=8,
        ),
    ]


_FIRING: Final = "series, probe, other, label, segment, severity, kind"


def _alerts() -> list[Builder[dashboard.Panel]]:
    return [
        series(
            PanelText(
                "Alerts by state", "Alerts of this stream: pending, firing, settled, resolved."
            ),
            [
                Query(
                    f"sum by (state) ({shared('alerts', STREAM, 'state, severity, kind')})",
                    "{{state}}",
                )
            ],
            COUNT,
        ),
        series(
            PanelText("Candidates by state", "Records proposed for labeling, by state."),
            [Query(shared("candidates", STREAM, "state"), "{{state}}")],
            COUNT,
        ),
        listing(
            PanelText(
                "Firing alerts of this stream",
                "What moved, by how much (odds ratio of observed to expected; 1 is no change), and "
                "since when, in the records' own time.",
            ),
            [
                shared("alert_effect_ratio", STREAM, _FIRING),
                f"1000 * {shared('alert_since_timestamp_seconds', STREAM, _FIRING)}",
            ],
            [
                TableColumn("severity", "severity"),
                TableColumn("kind", "kind"),
                TableColumn("series", "series"),
                TableColumn("probe", "LF"),
                TableColumn("other", "other LF"),
                TableColumn("label", "class"),
                TableColumn("segment", "segment"),
                TableColumn("Value #A", "odds ratio", COUNT),
                TableColumn("Value #B", "since", "dateTimeAsIso"),
            ],
        ),
    ]


def _pipeline() -> list[Builder[dashboard.Panel]]:
    end, seen = "window_end_timestamp_seconds", "window_evaluated_timestamp_seconds"
    watermark = f"min({shared('watermark_timestamp_seconds', STREAM, 'partition')})"
    return [
        series(
            PanelText(
                "Age of the last window and of the watermark",
                "How far event time lags behind the clock: years in a replay of old records, about "
                "a window in live traffic. The last evaluation is in wall-clock time.",
            ),
            [
                Query(f"time() - {shared(end, STREAM)}", "end of the last window"),
                Query(f"time() - {watermark}", "watermark"),
                Query(f"time() - {shared(seen, STREAM)}", "last evaluation"),
            ],
            SECONDS,
        ),
        series(
            PanelText(
                "Records per second",
                "Records counted, those that arrived too late, and Kafka records without "
                "a value, which are skipped.",
            ),
            [
                Query(rate_of("records_total", "", "partition"), "records"),
                Query(rate_of("late_records_total", "", "partition"), "late"),
                Query(rate_of("tombstones_total", "", "partition"), "tombstones"),
            ],
            RATE,
        ),
        series(
            PanelText("Lag by partition", "Records in the source that are not counted yet."),
            [Query(shared("consumer_lag_records", STREAM, "partition"), "partition {{partition}}")],
            COUNT,
            span=8,
        ),
        series(
            PanelText(
                "Dead letters per second", "Inputs that could not be read as records, by reason."
            ),
            [Query(rate_of("dead_letters_total", "reason", ""), "{{reason}}")],
            RATE,
            span=8,
        ),
        series(
            PanelText(
                "Time spent in each LF",
                "Seconds per second, over all processes: 1 is one busy core.",
            ),
            [
                Query(
                    "sum by (probe) "
                    f"(rate(tidegauge_lf_run_seconds_total{{{STREAM}}}[$__rate_interval]))",
                    "{{probe}}",
                )
            ],
            COUNT,
            span=8,
        ),
    ]


def build() -> dashboard.Dashboard:
    """Return the dashboard."""
    made = (
        builders.Dashboard("LF coverage")
        .uid(UID)
        .description("How often labeling functions fire on live traffic, against their baseline.")
        .tags(["tidegauge"])
        .editable()
        .timezone("browser")
        .time("now-6h", "now")
        .refresh("30s")
        .tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
        .with_variable(_source())
        .with_variable(
            _choice("stream", "Stream", "label_values(tidegauge_window_duration_seconds, stream)")
        )
        .with_variable(
            _choice(
                "segment", "Segment", f"label_values(tidegauge_window_records{{{STREAM}}}, segment)"
            )
        )
        .with_variable(
            _choice("probe", "LF", f"label_values(tidegauge_lf_coverage_ratio{{{SEGMENT}}}, probe)")
        )
        .annotation(_firing_annotation())
    )
    rows = {"Now": _now, "Coverage": _coverage, "Traffic": _traffic, "Quality": _quality}
    for title, panels in {**rows, "Alerts": _alerts, "Pipeline": _pipeline}.items():
        made = made.with_row(builders.Row(title))
        for panel in panels():
            made = made.with_panel(panel)
    return made.build()
