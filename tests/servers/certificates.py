"""Certificates for servers on loopback, made by OpenSSL when a test run needs them."""

import subprocess
from pathlib import Path

from tests.servers.ports import HOST
from tests.servers.process import ServerError
from tests.servers.required import require_program

KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc")


class Authority:
    """A certificate authority in a folder; `pem` is its own certificate."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self._folder = folder
        self._key = folder / f"{name}.key"
        self.pem = folder / f"{name}.pem"
        sign = "keyUsage=critical,keyCertSign,cRLSign"
        where = ("-keyout", self._key, "-out", self.pem)
        _openssl("req", "-x509", *KEY, *where, "-subj", f"/CN={name}", "-addext", sign)

    def issue(self, name: str, *, names: str = f"IP:{HOST}", days: int = 2) -> tuple[Path, Path]:
        """Return the files of a new certificate and its key; -1 days are over already."""
        key, request, pem = (self._folder / f"{name}.{end}" for end in ("key", "csr", "pem"))
        where = ("-keyout", key, "-out", request)
        alternative = f"subjectAltName={names}"
        _openssl("req", *KEY, *where, "-subj", f"/CN={name}", "-addext", alternative)
        authority = ("-CA", self.pem, "-CAkey", self._key, "-CAcreateserial")
        made = ("-in", request, "-out", pem, "-days", str(days), "-copy_extensions", "copy")
        _openssl("x509", "-req", *authority, *made)
        return pem, key


def _openssl(*arguments: str | Path) -> None:
    program = require_program("openssl", install="apt-get install openssl")
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ServerError(f"openssl {arguments[0]} failed:\n{done.stderr}")
