"""An Apache Kafka broker for tests: one KRaft node, broker and controller in one process."""

import base64
import shutil
import subprocess
import tempfile
import uuid
from pathlib import Path

import pytest
from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from tests.servers.maven import fetched
from tests.servers.ports import HOST, accepts, free_port
from tests.servers.process import ServerError, ServerProcess
from tests.servers.required import require_program

START_TIMEOUT = 90.0

# One replica of everything, groups that form without delay, no topic by accident. A killed broker
# may register again only when its session has ended: 3 s instead of 9.
PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
controller.listener.names=CONTROLLER
listeners={listeners},CONTROLLER://{host}:{controller_port}
advertised.listeners={listeners}
listener.security.protocol.map={protocols},CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
num.partitions=1
default.replication.factor=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=3000
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=500
log.retention.ms=-1
"""


class Cluster:
    """Any Kafka cluster that tests may use; `TIDEGAUGE_TEST_KAFKA=host:port` names one.

    Its life is not the tests' to command: a test that stops or kills its broker is skipped.
    """

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap

    def create_topic(self, name: str | None = None, partitions: int = 1) -> str:
        """Create a topic and return its name once every partition has a leader.

        Without a name, a new one is made up, so that tests do not meet in one topic.
        """
        name = name or f"test-{uuid.uuid4().hex[:12]}"
        with KafkaAdminClient(bootstrap_servers=self.bootstrap) as admin:
            wanted = {"num_partitions": partitions, "replication_factor": 1}
            admin.create_topics({name: wanted}, wait_for_metadata=True)
        return name

    def delete_topic(self, name: str) -> None:
        """Delete a topic."""
        with KafkaAdminClient(bootstrap_servers=self.bootstrap) as admin:
            admin.delete_topics([name])

    def answers(self) -> bool:
        """Tell whether an admin client gets an answer that names a broker and a controller."""
        # Asked first: an admin client that is refused backs off, and leaks its socket.
        if not accepts(self.bootstrap):
            return False
        try:
            with KafkaAdminClient(
                bootstrap_servers=self.bootstrap, bootstrap_timeout_ms=2000
            ) as admin:
                cluster = admin.describe_cluster()
        except KafkaError:
            return False
        return bool(cluster["brokers"]) and cluster["controller_id"] >= 0

    def start(self) -> None:
        """Start the broker again, on the same port with the same data."""
        self._not_ours()

    def stop(self) -> None:
        """Stop the broker in good order."""
        self._not_ours()

    def kill(self) -> None:
        """Kill the broker (SIGKILL)."""
        self._not_ours()

    def close(self) -> None:
        """End what the tests started, and remove its data."""

    def _not_ours(self) -> None:
        pytest.skip("this test stops its broker; unset TIDEGAUGE_TEST_KAFKA to run it")


class KafkaBroker(Cluster):
    """A broker of our own. Data and port stay the same over `stop`, `kill` and `start`."""

    def __init__(self, heap: str = "512m") -> None:
        self._port = free_port()
        super().__init__(f"{HOST}:{self._port}")
        self._java = require_program("java", install="apt-get install default-jre-headless")
        self._classpath = f"{fetched('kafka')}/*"
        self.folder = Path(tempfile.mkdtemp(prefix="tidegauge-kafka-"))
        self._properties = self._write_properties()
        self._format_storage()
        self.process = ServerProcess(
            self._command("kafka.Kafka", f"-Xmx{heap}", f"-Xms{heap}"),
            log=self.folder / "kafka.log",
        )

    def start(self) -> None:
        """Start the broker; return when it answers."""
        self.process.start(self.answers, timeout=START_TIMEOUT)

    def stop(self) -> None:
        """Stop the broker in good order; its data stay."""
        self.process.stop()

    def kill(self) -> None:
        """Kill the broker (SIGKILL); its data stay."""
        self.process.kill()

    def close(self) -> None:
        """Kill the broker and remove its data: nobody will read them."""
        self.process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _write_properties(self) -> Path:
        path = self.folder / "server.properties"
        listeners = {"PLAINTEXT": (self.bootstrap, "PLAINTEXT"), **self.listeners()}
        text = PROPERTIES.format(
            host=HOST,
            controller_port=free_port(),
            data=self.data,
            listeners=",".join(f"{name}://{at}" for name, (at, _) in listeners.items()),
            protocols=",".join(f"{name}:{protocol}" for name, (_, protocol) in listeners.items()),
        )
        path.write_text(f"{text}{self.more_properties()}\n")
        return path

    @property
    def data(self) -> Path:
        """The folder of the log segments."""
        return self.folder / "data"

    def listeners(self) -> dict[str, tuple[str, str]]:
        """Return name → (address, protocol) of the listeners beside the plain one."""
        return {}

    def more_properties(self) -> str:
        """Return more lines of server.properties."""
        return ""

    def format_options(self) -> list[str]:
        """Return more options of the tool that formats the storage."""
        return []

    def _command(self, main: str, *options: str) -> list[str | Path]:
        return [
            self._java,
            *options,
            "-XX:+UseSerialGC",  # One small broker on a shared machine: no parallel collector.
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-Dlog4j2.level=WARN",
            "-cp",
            self._classpath,
            main,
            *([self._properties] if main == "kafka.Kafka" else []),
        ]

    def _format_storage(self) -> None:
        """Give the data folder its cluster id, as KRaft wants before the first start."""
        command = self._command("kafka.tools.StorageTool", "-Xmx128m")
        arguments = ["format", f"--cluster-id={cluster_id()}", f"--config={self._properties}"]
        arguments += self.format_options()
        done = subprocess.run(
            [*command, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=START_TIMEOUT,
            check=False,
        )
        if done.returncode != 0:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise ServerError(f"Kafka's storage was not formatted:\n{done.stdout}{done.stderr}")


def cluster_id() -> str:
    """Return a new cluster id as Kafka writes it: 16 random bytes, base64 for addresses.

    Kafka never makes one that begins with `-`, which its own tools would read as an option.
    """
    while True:
        identity = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not identity.startswith("-"):
            return identity
