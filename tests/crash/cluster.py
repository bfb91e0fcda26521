"""Apache Kafka with three nodes, each behind a proxy: brokers and controllers in one.

Nodes and the harness talk to each other directly; the listener ``CLIENTS`` advertises the proxies,
so that the network between workers and brokers can be cut.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from contextlib import closing
from pathlib import Path

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from tests.crash.proxy import Proxy
from tests.servers.broker import START_TIMEOUT, cluster_id
from tests.servers.maven import fetched
from tests.servers.ports import HOST, accepts, free_port
from tests.servers.process import ServerProcess
from tests.servers.required import require_program
from tests.servers.waiting import wait_until

NODES = 3

PREFERRED = 0
"""Kind of election: the first replica becomes the leader."""

PROPERTIES = """\
process.roles=broker,controller
node.id={node}
controller.quorum.voters={voters}
controller.listener.names=CONTROLLER
listeners=INTERNAL://{host}:{internal},CLIENTS://{host}:{clients},CONTROLLER://{host}:{controller}
advertised.listeners=INTERNAL://{host}:{internal},CLIENTS://{host}:{proxy}
listener.security.protocol.map=INTERNAL:PLAINTEXT,CLIENTS:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=INTERNAL
log.dirs={data}
auto.create.topics.enable=false
default.replication.factor=3
min.insync.replicas=2
unclean.leader.election.enable=false
offsets.topic.replication.factor=3
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=3
transaction.state.log.min.isr=2
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=3
share.coordinator.state.topic.min.isr=2
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=3000
replica.lag.time.max.ms=5000
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=500
log.retention.ms=-1
"""


class Node:
    """One of the nodes. Data and ports stay the same over `kill` and `start`."""

    def __init__(self, number: int, controller: int) -> None:
        self.number = number
        self.controller = controller
        self.internal, self.clients = free_port(), free_port()
        self.proxy = Proxy(self.clients)
        self.folder = Path(tempfile.mkdtemp(prefix=f"tidegauge-kafka{number}-"))
        self._java = require_program("java", install="apt-get install default-jre-headless")
        self._properties = self.folder / "server.properties"
        self.process = ServerProcess(
            self._command("kafka.Kafka", "-Xmx256m", "-Xms256m", str(self._properties)),
            log=self.folder / "kafka.log",
        )

    def prepare(self, voters: str, cluster: str) -> None:
        """Write its properties and format its storage."""
        self._properties.write_text(
            PROPERTIES.format(
                node=self.number,
                voters=voters,
                host=HOST,
                internal=self.internal,
                clients=self.clients,
                controller=self.controller,
                proxy=self.proxy.port,
                data=self.folder / "data",
            )
        )
        arguments = ["format", f"--cluster-id={cluster}", f"--config={self._properties}"]
        subprocess.run(
            self._command("kafka.tools.StorageTool", "-Xmx128m", *arguments),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=START_TIMEOUT,
            check=True,
        )

    def start(self) -> None:
        """Start the node; return when it listens."""
        address = f"{HOST}:{self.internal}"
        self.process.start(lambda: accepts(address), timeout=START_TIMEOUT)

    def close(self) -> None:
        """Kill the node and remove its data."""
        self.process.kill()
        self.proxy.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _command(self, main: str, *arguments: str) -> list[str]:
        options = [argument for argument in arguments if argument.startswith("-X")]
        rest = [argument for argument in arguments if not argument.startswith("-X")]
        quiet = ["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dlog4j2.level=WARN"]
        small = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        classpath = f"{fetched('kafka')}/*"
        return [str(self._java), *options, *small, *quiet, "-cp", classpath, main, *rest]


class ThreeNodes:
    """The cluster. Any one node may be down and everything goes on."""

    def __init__(self) -> None:
        controllers = [free_port() for _ in range(NODES)]
        self.nodes = [Node(n + 1, port) for n, port in enumerate(controllers)]
        voters = ",".join(f"{n.number}@{HOST}:{n.controller}" for n in self.nodes)
        cluster = cluster_id()
        for node in self.nodes:
            node.prepare(voters, cluster)

    @property
    def bootstrap(self) -> str:
        """Addresses for the harness: no proxy in the way."""
        return ",".join(f"{HOST}:{node.internal}" for node in self.nodes)

    @property
    def clients(self) -> str:
        """Addresses for workers: the proxies."""
        return ",".join(f"{HOST}:{node.proxy.port}" for node in self.nodes)

    def start(self) -> None:
        """Start all nodes; return when all are in the cluster."""
        for node in self.nodes:  # a majority must be up before any of them listens
            node.process.start(lambda: True)
        wait_until(lambda: self._brokers() == NODES, timeout=START_TIMEOUT, what="three brokers")

    def _brokers(self) -> int:
        if not all(accepts(f"{HOST}:{node.internal}") for node in self.nodes):
            return 0
        try:
            with closing(KafkaAdminClient(bootstrap_servers=self.bootstrap)) as admin:
                return len(admin.describe_cluster()["brokers"])
        except KafkaError:
            return 0

    def create_topic(self, name: str, partitions: int) -> None:
        """Create a topic with a copy on each node."""
        wanted = {name: {"num_partitions": partitions, "replication_factor": NODES}}
        with closing(KafkaAdminClient(bootstrap_servers=self.bootstrap)) as admin:
            admin.create_topics(wanted, wait_for_metadata=True)

    def move_leaders(self, topic: str, partitions: int, shift: int) -> None:
        """Make another node the leader of each partition; nobody dies."""
        ids = [node.number for node in self.nodes]
        orders = {
            TopicPartition(topic, p): [ids[(p + shift + k) % NODES] for k in range(NODES)]
            for p in range(partitions)
        }
        with closing(KafkaAdminClient(bootstrap_servers=self.bootstrap)) as admin:
            admin.alter_partition_reassignments(orders)
            admin.elect_leaders(PREFERRED, [topic], raise_errors=False)

    def read_all(self, topic: str, partitions: int) -> dict[int, list[bytes]]:
        """Return what the topic holds: the truth that the oracle judges."""
        tps = [TopicPartition(topic, p) for p in range(partitions)]
        with closing(
            KafkaConsumer(bootstrap_servers=self.bootstrap, auto_offset_reset="earliest")
        ) as consumer:
            consumer.assign(tps)
            ends = consumer.end_offsets(tps)
            found: dict[int, list[bytes]] = {p: [] for p in range(partitions)}
            while any(len(found[tp.partition]) < ends[tp] for tp in tps):
                for tp, records in consumer.poll(1000, max_records=10_000).items():
                    for record in records:
                        assert record.offset == len(found[tp.partition])
                        found[tp.partition].append(record.value or b"")
        return found

    def keep_logs(self, folder: Path) -> None:
        """Copy the nodes' logs to a folder."""
        for node in self.nodes:
            shutil.copy(node.process.log, folder / f"kafka{node.number}.log")

    def close(self) -> None:
        """Kill the nodes and remove their data."""
        for node in self.nodes:
            node.close()
