"""Fixtures of all tests: real servers, the data sets, Snorkel."""

import gc
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
import structlog
from hypothesis import settings

from tests.servers.alertmanager import AlertmanagerServer
from tests.servers.broker import Cluster, KafkaBroker
from tests.servers.chromium import Chromium
from tests.servers.postgres import PostgresServer
from tests.servers.prometheus import PrometheusServer, ScrapeTarget
from tests.servers.registry_server import RegistryServer
from tests.servers.secure_broker import SecureBroker
from tests.snorkel_stub import Snorkel, load_snorkel

# How long an example takes is the machine's business: no test is timed.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

REPOSITORY = Path(__file__).resolve().parent.parent

MARKERS = {
    "kafka": "needs an Apache Kafka broker or a schema registry (Java, Maven)",
    "postgres": "needs a PostgreSQL server",
    "prometheus": "needs Prometheus or Alertmanager",
    "chromium": "needs headless Chromium",
    "slow": "takes longer than ten seconds",
}

# A fixture that starts a server marks its tests, so that `-m "not kafka"` finds them all.
FIXTURE_MARKERS = {
    "kafka_broker": "kafka",
    "secure_broker": "kafka",
    "schema_registry": "kafka",
    "postgres_server": "postgres",
    "prometheus_server": "prometheus",
    "alertmanager_server": "prometheus",
    "chromium": "chromium",
}


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers that `--strict-markers` allows."""
    for name, meaning in MARKERS.items():
        config.addinivalue_line("markers", f"{name}: {meaning}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test with the servers that it uses."""
    for item in items:
        for fixture in getattr(item, "fixturenames", ()):
            if fixture in FIXTURE_MARKERS:
                item.add_marker(FIXTURE_MARKERS[fixture])
        if item.get_closest_marker("kafka"):
            item.add_marker(pytest.mark.filterwarnings("ignore::ResourceWarning"))


@pytest.fixture(autouse=True)
def _logs_as_they_were() -> Iterator[None]:
    """Undo what a command under test has set for the logs of its process."""
    yield
    structlog.reset_defaults()


@pytest.fixture(autouse=True)
def _kafkas_leaks_stay_here(request: pytest.FixtureRequest) -> Iterator[None]:
    """Collect the sockets that kafka-python 3.0.12 leaks when a broker refuses it.

    Otherwise they are collected in a later test, which then fails for a leak that is not its own.
    """
    yield
    if request.node.get_closest_marker("kafka"):
        gc.collect()


@pytest.fixture(scope="session")
def kafka_broker() -> Iterator[Cluster]:
    """Give a Kafka broker: our own, or the cluster that `TIDEGAUGE_TEST_KAFKA` names.

    A test that stops or kills it starts it again before it ends.
    """
    named = os.environ.get("TIDEGAUGE_TEST_KAFKA")
    broker = Cluster(named) if named else KafkaBroker()
    try:
        if isinstance(broker, KafkaBroker):
            broker.start()
        yield broker
    finally:
        broker.close()


@pytest.fixture(scope="session")
def secure_broker() -> Iterator[SecureBroker]:
    """Give a Kafka broker of our own with TLS and SASL listeners."""
    broker = SecureBroker()
    try:
        broker.start()
        yield broker
    finally:
        broker.close()


@pytest.fixture(scope="session")
def schema_registry() -> Iterator[RegistryServer]:
    """Give a schema registry. A test that stops it starts it again before it ends."""
    registry = RegistryServer()
    try:
        registry.start()
        yield registry
    finally:
        registry.close()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """Give a PostgreSQL server without fsync; make `PostgresServer(durable=True)` for that."""
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """Give the address (`postgresql+psycopg://…`) of a new, empty database."""
    url = postgres_server.create_database()
    yield url
    postgres_server.drop_database(url)


PrometheusFactory = Callable[..., PrometheusServer]


@pytest.fixture
def prometheus_server() -> Iterator[PrometheusFactory]:
    """Give a function that starts a Prometheus: `prometheus_server([ScrapeTarget(…)], [rules])`."""
    with ExitStack() as servers:

        def start(
            targets: Sequence[ScrapeTarget] = (),
            rule_files: Sequence[Path] = (),
            alertmanagers: Sequence[str] = (),
        ) -> PrometheusServer:
            server = PrometheusServer(targets, rule_files, alertmanagers)
            servers.callback(server.close)
            server.start()
            return server

        yield start


@pytest.fixture
def alertmanager_server() -> Iterator[Callable[..., AlertmanagerServer]]:
    """Give a function that starts an Alertmanager: `alertmanager_server(webhook=url)`."""
    with ExitStack() as servers:

        def start(webhook: str | None = None) -> AlertmanagerServer:
            server = AlertmanagerServer(webhook)
            servers.callback(server.close)
            server.start()
            return server

        yield start


@pytest.fixture(scope="session")
def chromium() -> Chromium:
    """Give headless Chromium: `chromium.screenshot(url, path)`, `chromium.dump_dom(url)`."""
    return Chromium()


@pytest.fixture(scope="session")
def snorkel() -> Snorkel:
    """Give Snorkel 0.10.0, imported with an empty stand-in for torch."""
    return load_snorkel()


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Give the folder of the real data sets; skip where it is not, on CI as well.

    They are not in the repository: `TIDEGAUGE_DATA` names their folder, or they lie beside it.
    """
    named = os.environ.get("TIDEGAUGE_DATA")
    folder = Path(named) if named else REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real data sets are not here; name their folder with TIDEGAUGE_DATA")
    return folder
