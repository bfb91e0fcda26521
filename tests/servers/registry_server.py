"""A schema registry for tests: Apicurio, in memory, with the routes of Confluent's."""

import json
import shutil
import tarfile
import tempfile
import urllib.request
from pathlib import Path
from typing import Any

from tests.servers.maven import fetched
from tests.servers.ports import HOST, accepts, free_port
from tests.servers.process import ServerProcess
from tests.servers.required import require_program

START_TIMEOUT = 90.0


class RegistryServer:
    """A registry that keeps its schemas until it is stopped."""

    def __init__(self) -> None:
        java = require_program("java", install="apt-get install default-jre-headless")
        self._address = f"{HOST}:{free_port()}"
        self.url = f"http://{self._address}/apis/ccompat/v7"
        self.folder = Path(tempfile.mkdtemp(prefix="tidegauge-registry-"))
        [archive] = fetched("registry").glob("*.tar.gz")
        with tarfile.open(archive) as packed:
            packed.extractall(self.folder, filter="data")
        [jar] = self.folder.glob("*-runner.jar")
        host, port = self._address.split(":")
        options = [f"-Dquarkus.http.host={host}", f"-Dquarkus.http.port={port}", "-Xmx256m"]
        self.process = ServerProcess(
            [java, *options, "-jar", jar], log=self.folder / "registry.log"
        )

    def start(self) -> None:
        """Start the registry; return when it listens."""
        self.process.start(lambda: accepts(self._address), timeout=START_TIMEOUT)

    def stop(self) -> None:
        """Stop the registry; it forgets what it had."""
        self.process.stop()

    def close(self) -> None:
        """Kill the registry and remove its folder."""
        self.process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def register(self, subject: str, schema: Any, references: list[dict[str, Any]] = []) -> int:  # noqa: B006
        """Register an Avro schema under a subject; return its id."""
        body = {"schema": json.dumps(schema), "references": references}
        request = urllib.request.Request(
            f"{self.url}/subjects/{subject}/versions",
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/vnd.schemaregistry.v1+json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(json.load(answer)["id"])
