"""Kinds of receivers from other packages: found, used, and kept from doing harm."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from tidegauge_alerts import ReceiverError, parse_receivers
from tidegauge_alerts.transports import Delivered, Refused, Retry, transport_for
from tidegauge_alerts.transports.kinds import find_kind, known_kinds
from tidegauge_alerts.transports.preflight import check_receiver

ROOT = Path(__file__).resolve().parents[3]


def example() -> str:
    """Return the module that docs/receivers.md shows."""
    page = (ROOT / "docs" / "receivers.md").read_text(encoding="utf-8")
    return page.split("```python title=tidegauge_ntfy.py\n")[1].split("```")[0]


class Installed:
    """A folder on the path that holds packages with entry points."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, kind: str, module: str, source: str, name: str = "KIND") -> None:
        (self._folder / f"{module}.py").write_text(source, encoding="utf-8")
        info = self._folder / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[tidegauge.receivers]\n{kind} = {module}:{name}\n")


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installed]:
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    yield Installed(tmp_path)
    for module in set(sys.modules) - before:
        if module.startswith("plug_in_") or module == "tidegauge_ntfy":
            del sys.modules[module]


def test_the_example_of_the_docs_works(installed: Installed, hook: Any) -> None:
    installed.add("ntfy", "tidegauge_ntfy", example())
    assert "ntfy" in known_kinds()
    at = f"http://127.0.0.1:{hook.port}/alerts"
    given = {"kind": "ntfy", "url": at, "token": "t0ken", "allow_private": True}
    receiver = parse_receivers({"phone": given})["phone"]
    assert "t0ken" not in repr(receiver)
    assert check_receiver(receiver) == f"ntfy at http://127.0.0.1:{hook.port}"
    body = {"stream": "spam", "status": "firing", "headline": "Blind spot 8 %", "alerts": []}
    transport = transport_for(receiver, lambda: 0)
    assert transport.deliver(body, "key-1") == Delivered()
    (request,) = hook.requests
    assert b"Blind spot 8 %" in request.body
    assert request.headers["Authorization"] == "Bearer t0ken"
    hook.answer(403)
    assert isinstance(transport.deliver(body, "key-1"), Refused)


def test_keys_of_a_plug_in_are_checked_as_all_are(installed: Installed) -> None:
    installed.add("ntfy", "tidegauge_ntfy", example())
    with pytest.raises(ReceiverError, match="did you mean 'token'"):
        parse_receivers({"a": {"kind": "ntfy", "url": "https://x.example", "tokne": "x"}})
    with pytest.raises(ReceiverError, match="did you mean 'ntfy'"):
        parse_receivers({"a": {"kind": "nfty"}})


SOURCE = """
from dataclasses import dataclass
from typing import ClassVar
from tidegauge_alerts.receivers import Receiver
from tidegauge_alerts.transports import ReceiverKind

@dataclass(frozen=True, repr=False)
class Mine(Receiver):
    kind: ClassVar[str] = "mine"

class Transport:
    def __init__(self, receiver, clock): pass
    def deliver(self, message, dedup_key):
        BODY

KIND = ReceiverKind(Mine, Transport)
"""


@pytest.mark.parametrize(
    ("source", "name", "says"),
    [
        ("raise RuntimeError('no')", "KIND", "cannot be imported: RuntimeError('no')"),
        ("import not_installed_at_all", "KIND", "cannot be imported: ModuleNotFoundError"),
        ("x = 1", "KIND", "cannot be imported: AttributeError"),
        ("KIND = 1", "KIND", "must be a ReceiverKind, not int"),
        (SOURCE.replace('"mine"', '"other"'), "KIND", "not 'other'"),
    ],
)
def test_a_broken_plug_in_is_named(installed: Installed, source: str, name: str, says: str) -> None:
    installed.add("mine", "plug_in_broken", source, name)
    with pytest.raises(ReceiverError) as caught:
        parse_receivers({"a": {"kind": "mine"}})
    assert str(caught.value).startswith("the plug-in for kind 'mine' (plug_in_broken:KIND) ")
    assert says in str(caught.value)


def test_a_plug_in_is_not_imported_unless_it_is_used(installed: Installed) -> None:
    installed.add("mine", "plug_in_unused", "raise RuntimeError('imported')")
    assert set(parse_receivers({"log": {"kind": "log"}})) == {"log"}
    assert "plug_in_unused" not in sys.modules


def test_a_plug_in_cannot_replace_a_kind_that_is_built_in(installed: Installed) -> None:
    installed.add("log", "plug_in_log", "raise RuntimeError('imported')")
    kind = find_kind("log")
    assert kind is not None
    assert kind.receiver.__module__ == "tidegauge_alerts.receivers.log"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("raise ValueError('s3cret')", "its plug-in raised ValueError at "),
        ("return None", "its plug-in returned NoneType, no outcome"),
    ],
)
def test_a_plug_in_that_breaks_its_promise_is_tried_again(
    installed: Installed, body: str, says: str
) -> None:
    installed.add("mine", "plug_in_mine", SOURCE.replace("BODY", body))
    transport = transport_for(parse_receivers({"a": {"kind": "mine"}})["a"], lambda: 0)
    with capture_logs() as logs:
        outcome = transport.deliver({}, "key-1")
    assert isinstance(outcome, Retry)
    assert says in outcome.why
    assert "s3cret" not in f"{outcome}{logs}"
