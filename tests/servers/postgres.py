"""PostgreSQL for tests: Debian's server on a loopback port, with a data folder of its own."""

import os
import shutil
import signal
import subprocess
import tempfile
import uuid
from pathlib import Path

import psycopg
from psycopg import sql

from tests.servers.ports import HOST, free_port
from tests.servers.process import ServerError, ServerProcess
from tests.servers.required import require_program

SUPERUSER = "tidegauge"

STOP_SIGNALS = {
    "smart": signal.SIGTERM,  # waits for clients to leave
    "fast": signal.SIGINT,  # rolls their transactions back
    "immediate": signal.SIGQUIT,  # a crash: recovery at the next start
}

INSTALL = "apt-get install postgresql"


class PostgresServer:
    """A PostgreSQL server. Data and port stay the same over `stop` and `start`.

    Args:
        durable: with `fsync` and full commits, for tests of what a crash may lose. Without it,
            which is the default, the server is faster and its data do not survive the machine's
            crash (they do survive `stop("immediate")`).
    """

    def __init__(self, *, durable: bool = False) -> None:
        folders = server_folders()
        self.port = free_port()
        self._postgres = require_program("postgres", install=INSTALL, folders=folders)
        self._initdb = require_program("initdb", install=INSTALL, folders=folders)
        # Not pytest's tmp_path: its parents are closed to the user that must own the data.
        self.folder = Path(tempfile.mkdtemp(prefix="tidegauge-postgres-"))
        self._user = unprivileged_user()
        if self._user is not None:
            shutil.chown(self.folder, self._user, self._user)
        self._initialise()
        self.process = ServerProcess(
            [self._postgres, "-D", self.folder / "data", *self._options(durable=durable)],
            log=self.folder / "postgres.log",
            user=self._user,
            stop_signal=STOP_SIGNALS["fast"],
        )

    def url(self, dbname: str = "postgres") -> str:
        """Return SQLAlchemy's address of a database of this server."""
        return f"postgresql+psycopg://{SUPERUSER}@{HOST}:{self.port}/{dbname}"

    def create_database(self) -> str:
        """Create an empty database under a new name and return its address."""
        name = f"test_{uuid.uuid4().hex[:12]}"
        self.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self.url(name)

    def drop_database(self, url: str) -> None:
        """Drop a database made by `create_database`, whoever is still connected to it."""
        name = sql.Identifier(url.rpartition("/")[2])
        self.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))

    def execute(self, statement: sql.SQL | sql.Composed) -> None:
        """Execute one statement as the superuser, outside of any transaction."""
        with self._connect() as connection:
            connection.execute(statement)

    def start(self) -> None:
        """Start the server; return when it answers."""
        self.process.start(self._answers)

    def stop(self, mode: str = "fast") -> None:
        """Stop the server: `smart`, `fast`, or `immediate`, which is as good as a crash."""
        self.process.stop(STOP_SIGNALS[mode])

    def close(self) -> None:
        """Stop the server and remove its data."""
        self.process.stop(STOP_SIGNALS["immediate"])
        shutil.rmtree(self.folder, ignore_errors=True)

    def _connect(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(
            host=HOST,
            port=self.port,
            user=SUPERUSER,
            dbname="postgres",
            autocommit=True,
            connect_timeout=5,
        )

    def _answers(self) -> bool:
        try:
            with self._connect() as connection:
                connection.execute("SELECT 1")
        except psycopg.OperationalError:  # Not listening yet, or still recovering.
            return False
        return True

    def _options(self, *, durable: bool) -> list[str]:
        switch = "on" if durable else "off"
        settings = {
            "listen_addresses": HOST,
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "200",
            "shared_buffers": "64MB",
            "fsync": switch,
            "full_page_writes": switch,
            "synchronous_commit": switch,
            "timezone": "UTC",
        }
        return [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]

    def _initialise(self) -> None:
        command: list[str | Path] = [self._initdb, "--pgdata", self.folder / "data"]
        command += ["--username", SUPERUSER, "--auth=trust", "--no-sync"]
        command += ["--encoding=UTF8", "--locale=C.UTF-8"]
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd=self.folder,
            timeout=120,
            check=False,
            user=self._user,
            group=self._user,
            extra_groups=None if self._user is None else [],
        )
        if done.returncode != 0:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise ServerError(f"initdb failed:\n{done.stdout}{done.stderr}")


def server_folders() -> list[Path]:
    """Return where Debian keeps PostgreSQL's programs, newest version first."""
    versions = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if path.is_dir()]
    return sorted(versions, key=lambda path: float(path.parent.name), reverse=True)


def unprivileged_user() -> str | None:
    """Return the user to run the server as: PostgreSQL refuses to run as root."""
    return "postgres" if os.geteuid() == 0 else None
