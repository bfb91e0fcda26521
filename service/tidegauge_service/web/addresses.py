"""Addresses that the page links to. Every part that comes from data is percent-encoded."""

from __future__ import annotations

from urllib.parse import quote, urlencode

from tidegauge_probes.findings import ALL, SeriesKey
from tidegauge_service.web.charts.themes import ThemeName

WINDOWS = 60
MOST_WINDOWS = 120
"""Windows that the page shows, unless asked, and at most."""

API = "/api/v1"


def page(stream: str, segment: str = ALL, windows: int = WINDOWS) -> str:
    """Return the page of a stream; what is as usual is left out."""
    parts = {"stream": stream}
    if segment != ALL:
        parts["segment"] = segment
    if windows != WINDOWS:
        parts["windows"] = str(windows)
    return _with("/", parts)


def heat_map(stream: str, segment: str, windows: int, theme: ThemeName) -> str:
    """Return the picture of LF × window."""
    parts = {"stream": stream, "segment": segment, "windows": str(windows), "theme": str(theme)}
    return _with("/charts/heatmap.svg", parts)


def series(stream: str, key: SeriesKey, windows: int, theme: ThemeName) -> str:
    """Return the picture of one series over windows."""
    named = {
        "series": str(key.series),
        "segment": key.segment,
        "probe": key.probe,
        "other": key.other,
        "label": key.label,
    }
    parts = {"stream": stream} | {name: value for name, value in named.items() if value}
    return _with("/charts/series.svg", parts | {"windows": str(windows), "theme": str(theme)})


def api_stream(stream: str) -> str:
    """Return the stream as JSON."""
    return f"{API}/streams/{_quoted(stream)}"


def api_windows(stream: str, segment: str = ALL) -> str:
    """Return the stream's windows as JSON."""
    return _with(f"{api_stream(stream)}/windows", {"segment": segment})


def api_precision(stream: str) -> str:
    """Return how right the stream's LFs are as JSON."""
    return f"{api_stream(stream)}/precision"


def api_skew(stream: str) -> str:
    """Return in what the training data were never like the live traffic, as JSON."""
    return f"{api_stream(stream)}/skew"


def api_false_alarms(stream: str) -> str:
    """Return the false incidents to expect, beside those that opened, as JSON."""
    return f"{api_stream(stream)}/false-alarms"


def api_deployments(stream: str) -> str:
    """Return the deployments of the stream as JSON."""
    return f"{api_stream(stream)}/deployments"


def api_alerts(stream: str) -> str:
    """Return the stream's alerts as JSON."""
    return _with(f"{API}/alerts", {"stream": stream})


def api_alert(alert_id: str) -> str:
    """Return one alert as JSON."""
    return f"{API}/alerts/{_quoted(alert_id)}"


def api_candidates(**parts: str) -> str:
    """Return candidates: JSON, or the ``format`` that is asked for."""
    return _with(f"{API}/candidates", parts)


def _with(path: str, parts: dict[str, str]) -> str:
    # No comma or blank is left: they separate addresses where these stand in a srcset.
    return f"{path}?{urlencode(parts, errors='replace')}"


def _quoted(text: str) -> str:
    return quote(text, safe="", errors="replace")
