"""Documentation is part of a change: a setting, command, route or template without it fails."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import typer

from tidegauge_alerts.receivers import WebhookReceiver, configuration
from tidegauge_alerts.transports.kinds import BUILT_IN
from tidegauge_probes.documents.spec import Spec
from tidegauge_probes.findings import SeriesKind, Verdict
from tidegauge_probes.labeling.templates import CONDITIONS, Keyword, Length, Numeric, Regex
from tidegauge_service.api.app import MODULES
from tidegauge_service.api.problems import CODES
from tidegauge_service.api.routes import health
from tidegauge_service.candidates import proposal
from tidegauge_service.cli.main import app
from tidegauge_service.config import sources, stream_file
from tidegauge_service.config.settings import Retention, Settings
from tidegauge_service.ingest.codec.rejection import DeadLetterReason

ROOT = Path(__file__).resolve().parents[2]


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def stream_keys() -> Iterator[str]:
    """Dotted keys of stream.yaml, except those of sources and baselines."""
    for name, field in stream_file.StreamConfig.model_fields.items():
        nested: Any = field.annotation
        if name in {"folder", "file", "source", "baseline"}:
            continue
        if isinstance(nested, type) and issubclass(nested, Spec):
            yield from (f"{name}.{key}" for key in nested.model_fields)
        else:
            yield name


def source_keys() -> Iterator[str]:
    for source in (
        sources.FileSource,
        sources.KafkaSource,
        sources.LogSource,
        sources.DemoSource,
    ):
        yield from (key for key in source.model_fields if key != "kind")


def commands(group: Any, path: str = "tidegauge") -> Iterator[tuple[str, Any]]:
    inner = getattr(group, "commands", None)
    if inner is None:
        yield path, group
        return
    for name, command in inner.items():
        yield from commands(command, f"{path} {name}")


COMMANDS = dict(commands(typer.main.get_command(app)))
ROUTES = [
    f"{method} {route.path}"
    for module in (health, *MODULES)
    for route in module.router.routes
    for method in route.methods
]


@pytest.mark.parametrize("key", list(stream_keys()))
def test_stream_keys(key: str) -> None:
    assert f"`{key}`" in page("streams.md")


@pytest.mark.parametrize("key", sorted(set(source_keys())))
def test_source_keys(key: str) -> None:
    assert re.search(rf"`[^`]*\b{key}\b[^`]*`", page("streams.md"))


@pytest.mark.parametrize("key", list(Settings.model_fields))
def test_settings(key: str) -> None:
    assert f"| `{key}` |" in page("settings.md")


@pytest.mark.parametrize("key", list(Retention.model_fields))
def test_retention(key: str) -> None:
    assert f"`retention.{key}`" in page("retention.md")


@pytest.mark.parametrize("key", [f.name for f in fields(WebhookReceiver) if f.name != "name"])
def test_receiver_keys(key: str) -> None:
    assert f"`{key}`" in page("alerts.md")


@pytest.mark.parametrize("kind", BUILT_IN)
def test_receiver_kinds(kind: str) -> None:
    written = page("receivers.md") + page("alerts.md")
    assert f"| [`{kind}`](" in page("receivers.md")
    keys = configuration.keys(BUILT_IN[kind].receiver)
    assert [key for key in keys if f"`{key}`" not in written] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_commands(command: str) -> None:
    assert f"`{command}" in page("cli.md")


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_say_what_they_do(command: str) -> None:
    assert COMMANDS[command].help


@pytest.mark.parametrize("route", ROUTES)
def test_routes(route: str) -> None:
    assert f"`{route}`" in page("api.md")


@pytest.mark.parametrize("code", CODES)
def test_problem_codes(code: str) -> None:
    assert f"`{code}`" in page("api.md")


@pytest.mark.parametrize("reason", DeadLetterReason)
def test_dead_letter_reasons(reason: DeadLetterReason) -> None:
    assert f"`{reason}`" in page("streams.md")


@pytest.mark.parametrize("reason", proposal.ProposalReason)
def test_candidate_reasons(reason: proposal.ProposalReason) -> None:
    assert f"| `{reason}` |" in page("candidates.md")


@pytest.mark.parametrize("kind", SeriesKind)
def test_series(kind: SeriesKind) -> None:
    assert f"| `{kind}` |" in page("concepts.md")


@pytest.mark.parametrize("verdict", Verdict)
def test_verdicts(verdict: Verdict) -> None:
    assert f"| `{verdict}` |" in page("detection.md")


@pytest.mark.parametrize("condition", [name.rstrip("_") for name in CONDITIONS])
def test_templates(condition: str) -> None:
    assert f"`{condition}`" in page("probes.md")


@pytest.mark.parametrize(
    "key", sorted({k for m in (Keyword, Regex, Numeric, Length) for k in m.model_fields})
)
def test_template_keys(key: str) -> None:
    assert f"`{key}`" in page("probes.md")


@pytest.mark.parametrize("path", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))])
def test_links_lead_somewhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", text)
    assert [t for t in targets if not (path.parent / t).exists()] == []


def anchors(path: Path) -> set[str]:
    """Return the anchors of a page's headings, made as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))])
def test_links_lead_to_a_heading(path: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]*)#([^)]+)\)", path.read_text(encoding="utf-8"))
    broken = [(t, a) for t, a in links if a not in anchors(path.parent / t if t else path)]
    assert broken == []
