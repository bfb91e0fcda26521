from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer
from pydantic import ValidationError

from tests.e2e.running import tidegauge
from tests.servers.certificates import Authority
from tests.servers.secure_broker import MECHANISMS, PASSWORD, USER, SecureBroker
from tests.service.streams_for_tests import write_stream
from tidegauge_service.config.sources import KafkaSource
from tidegauge_service.errors import SettingsError, SourceError
from tidegauge_service.ingest.sources.kafka.source import KafkaTopic

PROMPT_S = 20
"""A wrong setting is told of after so long at most; kafka-python alone would try for ever."""

WRONG = "wr0ng-secret"


@pytest.fixture(scope="session")
def topic(secure_broker: SecureBroker) -> str:
    """Give a topic with one record in it."""
    name = secure_broker.create_topic()
    with KafkaProducer(bootstrap_servers=secure_broker.bootstrap) as producer:
        producer.send(name, RECORD).get(timeout=30)
    return name


@pytest.fixture(scope="session")
def client(secure_broker: SecureBroker) -> dict[str, str]:
    """Give the settings of a client certificate that the broker trusts."""
    pem, key = secure_broker.authority.issue("client")
    return {"ssl_certfile": str(pem), "ssl_keyfile": str(key)}


@pytest.fixture(scope="session")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Give a CA that nobody trusts."""
    return Authority(tmp_path_factory.mktemp("stranger"), "stranger")


RECORD = b'{"id": "a", "timestamp": "2020-09-13T12:00:00Z", "text": "hello"}'


def config(broker: SecureBroker, listener: str, topic: str, **more: Any) -> dict[str, Any]:
    protocol = broker.listeners()[listener][1]
    found = {"kind": "kafka", "bootstrap": broker.at[listener], "topic": topic, "group": "g"}
    if "SSL" in protocol:
        found["ssl_cafile"] = str(broker.authority.pem)
    if "SASL" in protocol:
        found |= {"sasl_mechanism": "PLAIN", "sasl_username": USER}
    return {**found, "security_protocol": protocol, **more}


def opened(settings: dict[str, Any], password: str | None = PASSWORD) -> KafkaTopic:
    return KafkaTopic(KafkaSource.model_validate(settings), password)


def assert_read(source: KafkaTopic) -> None:
    with closing(source):
        assert source.beginnings() == {0: 0}
        assert source.ends([0]) == {0: 1}


def test_tls(secure_broker: SecureBroker, topic: str) -> None:
    assert_read(opened(config(secure_broker, "TLS", topic)))


def test_tls_with_a_client_certificate(
    secure_broker: SecureBroker, topic: str, client: dict[str, str]
) -> None:
    assert_read(opened(config(secure_broker, "MUTUAL", topic, **client)))


def test_the_name_need_not_be_checked(secure_broker: SecureBroker, topic: str) -> None:
    assert_read(opened(config(secure_broker, "ELSEWHERE", topic, ssl_check_hostname=False)))


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("listener", ["SASL", "SASLTLS"])
def test_sasl(secure_broker: SecureBroker, topic: str, listener: str, mechanism: str) -> None:
    assert_read(opened(config(secure_broker, listener, topic, sasl_mechanism=mechanism)))


def refused(settings: dict[str, Any], password: str = PASSWORD) -> str:
    """Return what is said of settings that do not work; promptly."""
    began = time.monotonic()
    with pytest.raises(SourceError) as caught:
        opened(settings, password)
    assert time.monotonic() - began < PROMPT_S
    assert password not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_a_wrong_password_is_named(secure_broker: SecureBroker, topic: str, mechanism: str) -> None:
    settings = config(secure_broker, "SASL", topic, sasl_mechanism=mechanism)
    assert "rejected the user name or password" in refused(settings, WRONG)


def test_a_ca_that_did_not_sign_is_named(
    secure_broker: SecureBroker, topic: str, stranger: Authority
) -> None:
    said = refused(config(secure_broker, "TLS", topic, ssl_cafile=str(stranger.pem)))
    assert "not signed by a CA in ssl_cafile" in said


@pytest.mark.parametrize(
    ("listener", "says"),
    [
        ("ELSEWHERE", "does not cover this address"),
        ("EXPIRED", "the broker's certificate has expired"),
        ("MUTUAL", "requires a client certificate"),
    ],
)
def test_a_certificate_that_does_not_fit_is_named(
    secure_broker: SecureBroker, topic: str, listener: str, says: str
) -> None:
    assert says in refused(config(secure_broker, listener, topic))


def test_a_client_certificate_of_a_stranger_is_named(
    secure_broker: SecureBroker, topic: str, stranger: Authority
) -> None:
    pem, key = stranger.issue("client")
    more = {"ssl_certfile": str(pem), "ssl_keyfile": str(key)}
    said = refused(config(secure_broker, "MUTUAL", topic, **more))
    assert "a client certificate signed by a CA in its truststore" in said


def test_a_port_without_tls_is_named(secure_broker: SecureBroker, topic: str) -> None:
    settings = config(secure_broker, "TLS", topic, bootstrap=secure_broker.bootstrap)
    assert "check security_protocol" in refused(settings)


def test_a_certificate_file_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    for name in ("ca.pem", "absent.pem"):
        settings = {"kind": "kafka", "bootstrap": "localhost:1", "topic": "t"}
        settings |= {"security_protocol": "SSL", "ssl_cafile": name}
        with pytest.raises(SettingsError, match=f"cannot use ssl_cafile: {name}: .*must be PEM"):
            KafkaTopic(KafkaSource.model_validate(settings), None, tmp_path)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"security_protocol": "SASL_SSL"}, "needs sasl_mechanism and sasl_username"),
        ({"ssl_cafile": "ca.pem"}, "ssl_cafile would not be used: set security_protocol"),
        ({"sasl_username": "me"}, "sasl_username would not be used: set security_protocol"),
        ({"security_protocol": "SSL", "ssl_keyfile": "k"}, "ssl_keyfile needs ssl_certfile"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings: dict[str, Any], says: str) -> None:
    base = {"kind": "kafka", "bootstrap": "localhost:1", "topic": "t"}
    with pytest.raises(ValidationError, match=says):
        KafkaSource.model_validate(base | settings)


def test_a_missing_password_is_named(secure_broker: SecureBroker, topic: str) -> None:
    with pytest.raises(SettingsError, match="set TIDEGAUGE_KAFKA_PASSWORD"):
        opened(config(secure_broker, "SASL", topic), None)


@pytest.mark.parametrize(
    ("command", "code", "listener", "says"),
    [
        ("run", 3, "SASLTLS", "rejected the user name or password"),
        ("doctor", 1, "ELSEWHERE", "does not cover this address"),
    ],
)
def test_commands_name_the_fault_and_not_the_secret(  # noqa: PLR0917
    secure_broker: SecureBroker, tmp_path: Path, command: str, code: int, listener: str, says: str
) -> None:
    """At log level DEBUG, a password is in no output, whether from the file or a variable."""
    in_file = command == "run"
    settings = config(secure_broker, listener, "t", **{"sasl_password": WRONG} if in_file else {})
    path = write_stream(tmp_path, source=settings)
    secrets: dict[str, Any] = {} if in_file else {"kafka_password": WRONG}
    arguments = ("--log-level", "DEBUG", command, path)
    done = tidegauge(*arguments, cwd=tmp_path, check=False, log_level="DEBUG", **secrets)
    text = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == code, text
    assert says in text
    assert WRONG not in text
    assert "Traceback" not in text


def test_a_stream_keeps_its_password_to_itself(
    secure_broker: SecureBroker, topic: str, tmp_path: Path
) -> None:
    """One that works is read, and is in no log, no file of the database, no repr."""
    settings = config(secure_broker, "SASLTLS", topic, sasl_password=PASSWORD)
    path = write_stream(tmp_path, source=settings)
    done = tidegauge(
        "--log-level", "DEBUG", "run", path, "--drain", cwd=tmp_path, log_level="DEBUG"
    )
    assert PASSWORD not in done.stdout + done.stderr
    assert PASSWORD not in repr(KafkaSource.model_validate(settings))
    written = [file for file in tmp_path.iterdir() if file.name.startswith("tidegauge.db")]
    assert written
    assert not [file for file in written if PASSWORD.encode() in file.read_bytes()]
