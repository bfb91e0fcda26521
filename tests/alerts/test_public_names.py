"""What others may import, and what this package may import itself."""

import ast
import inspect
from pathlib import Path

import pytest

import tidegauge_alerts
from tidegauge_alerts import transports

MODULES = sorted(Path(tidegauge_alerts.__file__).parent.rglob("*.py"))

PUBLIC = {
    "Advance", "AddressRefused", "Alert", "AlertKind", "AlertState", "Context", "DeliveryError",
    "Figures", "LogReceiver", "Message", "MuteTime", "Receiver", "ReceiverError", "Rule",
    "RuleError", "Severity", "Status", "Transition", "TransitionReason", "UserRule",
    "WebhookReceiver", "advance", "delay_s", "given_up", "headline", "messages_of",
    "notify_worthy", "parse_mute", "parse_receivers", "parse_rule", "sign", "merged",
    "verify", "withdraw",
}  # fmt: skip
TRANSPORTS = {
    "Clock", "Delivered", "LogTransport", "Outcome", "ReceiverKind", "Refused", "Retry",
    "Transport", "WebhookTransport", "parse_receivers", "transport_for",
}  # fmt: skip


def test_the_public_names_are_these() -> None:
    """Removing one breaks somebody's code."""
    assert set(tidegauge_alerts.__all__) == PUBLIC
    assert set(transports.__all__) == TRANSPORTS


@pytest.mark.parametrize("package", [tidegauge_alerts, transports])
def test_every_public_name_exists(package: object) -> None:
    for name in package.__all__:  # type: ignore[attr-defined]
        assert hasattr(package, name)


@pytest.mark.parametrize("package", [tidegauge_alerts, transports])
def test_every_public_class_and_function_is_documented(package: object) -> None:
    for name in package.__all__:  # type: ignore[attr-defined]
        value = getattr(package, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert (value.__doc__ or "").strip(), name


def imported(module: Path) -> set[str]:
    tree = ast.parse(module.read_text(encoding="utf-8"))
    found = {a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names}
    return found | {
        node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module is not None
    }


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_of_ours_only_the_values_of_findings_are_imported(module: Path) -> None:
    ours = {name for name in imported(module) if name.startswith("tidegauge_")}
    foreign = {name for name in ours if not name.startswith("tidegauge_alerts")}
    assert foreign <= {"tidegauge_probes.findings", "tidegauge_probes.errors"}


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_only_transports_touch_clocks_and_networks(module: Path) -> None:
    if "transports" not in module.parts:
        assert imported(module).isdisjoint({"time", "socket", "random", "httpcore2", "structlog"})
