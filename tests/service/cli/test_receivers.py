"""`tidegauge receivers test`: a real message, now, to a real server."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.alerts.hooks import Hook
from tests.alerts.http_receivers import KINDS, SECRET, config, say_yes
from tests.alerts.smtp import MailServer
from tidegauge_service.cli.main import app
from tidegauge_service.errors import ServiceError, SettingsError, exit_code_of


@pytest.fixture
def hook() -> Iterator[Hook]:
    hook = Hook()
    yield hook
    hook.close()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def settings(folder: Path, **receivers: Any) -> None:
    written = json.dumps({"url": "https://x.example", "receivers": receivers})
    (folder / "tidegauge.yaml").write_text(written)


def run(*arguments: str) -> tuple[int, str]:
    """Return exit code and output, as `main` would give them."""
    result = CliRunner().invoke(app, ["receivers", "test", *arguments])
    error = result.exception
    if isinstance(error, ServiceError):
        return exit_code_of(error), str(error)
    return result.exit_code, result.output


@pytest.mark.parametrize("kind", KINDS)
def test_a_message_is_sent_and_its_answer_shown(kind: str, folder: Path, hook: Hook) -> None:
    settings(folder, ops=config(kind, hook.port))
    say_yes(kind, hook)
    code, said = run("ops")
    assert code == 0, said
    assert said.startswith(
        f"delivered to {kind.split(' ', maxsplit=1)[0]} 'ops' at http://127.0.0.1:"
    )
    (request,) = hook.requests
    assert b"Test message to receiver 'ops'" in request.body
    assert SECRET not in said


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (403, "not delivered, and a message would not be retried: webhook 'ops' at http"),
        (429, "not delivered, but a message would be retried: webhook 'ops' at http"),
    ],
)
def test_all_but_a_yes_is_an_error(folder: Path, hook: Hook, status: int, says: str) -> None:
    settings(folder, ops=config("webhook", hook.port))
    hook.answer(status, Retry_After="30")
    code, said = run("ops")
    assert code == 1
    assert said.startswith(says)
    assert ("it asks to wait for 30 s" in said) == (status == 429)
    assert SECRET not in said


def test_a_test_can_be_ended(folder: Path, hook: Hook) -> None:
    settings(folder, ops=config("pagerduty", hook.port))
    say_yes("pagerduty", hook)
    assert run("ops")[0] == run("ops", "--resolved")[0] == 0
    opened, closed = (json.loads(request.body) for request in hook.requests)
    assert (opened["event_action"], closed["event_action"]) == ("trigger", "resolve")
    assert opened["dedup_key"] == closed["dedup_key"]


def test_two_tests_are_two_messages(folder: Path, hook: Hook) -> None:
    settings(folder, ops=config("webhook", hook.port))
    run("ops")
    run("ops", "--resolved")
    assert len({request.headers["Idempotency-Key"] for request in hook.requests}) == 2


def test_mail_is_tested_too(folder: Path) -> None:
    with MailServer() as server:
        mail = {"kind": "email", "host": "127.0.0.1", "port": server.port, "tls": "none",
                "from": "t@x.example", "to": "a@x.example", "allow_private": True}  # fmt: skip
        settings(folder, ops=mail)
        assert run("ops") == (0, f"delivered to email 'ops' at 127.0.0.1:{server.port}\n")
        assert "Test message" in server.envelopes[0].mail["Subject"]


def test_a_log_is_a_receiver_as_well(folder: Path) -> None:
    settings(folder, ops={"kind": "log"})
    code, said = run("ops")
    assert code == 0
    assert "delivered to log 'ops'" in said


def test_an_unknown_name_is_named_with_the_nearest(folder: Path) -> None:
    settings(folder, ops={"kind": "log"})
    code, said = run("opps")
    assert code == exit_code_of(SettingsError())
    assert said == "the settings do not define a receiver 'opps'; did you mean 'ops'?"
    settings(folder)
    assert "add it under `receivers`" in run("ops")[1]
