"""Every query of every dashboard, as Grafana would send it: the proof that they find something.

for title, expr in all_queries("spam", "_all", "check_out"):
    assert prometheus.query(expr), title
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import tidegauge_dashboards

LABEL_VALUES = re.compile(r"label_values\((?P<series>.*), *(?P<label>\w+)\)", re.DOTALL)
VARIABLE = re.compile(r"\$\{?(\w+)\}?")

Document = dict[str, Any]


def dashboards() -> dict[str, Document]:
    """Return file name → content of every dashboard that is shipped."""
    return {
        path.name: json.loads(tidegauge_dashboards.read(path))
        for path in tidegauge_dashboards.files()
        if path.parts[0] == "json"
    }


def panels(document: Document) -> Iterator[Document]:
    """Yield the panels of a dashboard, rows and what is inside them included."""
    for panel in document["panels"]:
        yield panel
        yield from panel.get("panels", ())


def queries_of(document: Document) -> Iterator[tuple[str, str]]:
    """Yield title and expression of panels, variables and annotations, with their variables."""
    for panel in panels(document):
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]
    for variable in document["templating"]["list"]:
        if variable["type"] == "query":
            yield f"variable {variable['name']}", series_of(variable["query"]["query"])
    for annotation in document["annotations"]["list"]:
        yield f"annotation {annotation['name']}", annotation["expr"]


def series_of(query: str) -> str:
    """Return the series that ``label_values(series, label)`` looks at, by that label."""
    found = LABEL_VALUES.fullmatch(query)
    if found is None:
        msg = f"not label_values(series, label): {query}"
        raise ValueError(msg)
    return f"group by ({found['label']}) ({found['series']})"


def substituted(expr: str, values: Mapping[str, str]) -> str:
    """Fill in variables; all of them stand inside the quotes of a matcher, or are durations."""

    def value(found: re.Match[str]) -> str:
        given = values[found[1]]
        return given.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

    return VARIABLE.sub(value, expr)


def all_queries(
    stream: str,
    segment: str,
    probe: str,
    *,
    rate_interval: str = "1m",
    shown_range: str = "1h",
) -> list[tuple[str, str]]:
    """Return title and PromQL of every query of every dashboard, ready to be sent.

    *rate_interval* must span at least two scrapes. A missing variable is a KeyError.
    """
    values = {
        "stream": stream,
        "segment": segment,
        "probe": probe,
        "__rate_interval": rate_interval,
        "__range": shown_range,
        "__interval": rate_interval,
    }
    return [
        (title, substituted(expr, values))
        for document in dashboards().values()
        for title, expr in queries_of(document)
    ]
