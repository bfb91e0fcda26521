"""A real mail server on loopback, with TLS, that answers as it is told."""

from __future__ import annotations

import asyncio
import base64
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP
from typing import Self


@dataclass
class Envelope:
    """One mail as it came."""

    sender: str
    recipients: list[str]
    content: bytes
    encrypted: bool

    @property
    def mail(self) -> EmailMessage:
        made = message_from_bytes(self.content, policy=SMTP)
        assert isinstance(made, EmailMessage)
        return made


@dataclass
class MailServer:
    """The server. ``envelopes`` is what it took, ``commands`` all that clients said.

    ``answers``: command (``CONNECT``, ``MAIL``, ``RCPT a@b.example``, ``.`` …) → what it says then.
    """

    context: ssl.SSLContext | None = None
    tls_at_once: bool = False
    login: tuple[str, str] | None = None
    answers: Mapping[str, bytes] = field(default_factory=dict)
    envelopes: list[Envelope] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    port: int = 0

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._ready, self._over = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._run(),))
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(10)
        assert not self._thread.is_alive()
        self._loop.close()

    async def _run(self) -> None:
        tls = self.context if self.tls_at_once else None
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=tls, limit=2**20)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._over.wait()
        server.close()
        sessions = asyncio.all_tasks() - {asyncio.current_task()}
        for session in sessions:
            session.cancel()
        await asyncio.gather(*sessions, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._converse(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client has hung up
        finally:
            writer.transport.abort()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sender, recipients = "", list[str]()
        writer.write(self.answers.get("CONNECT", b"220 mail.example ESMTP\r\n"))
        while line := (await reader.readline()).decode().strip():
            self.commands.append(line)
            verb, rest = (
                line.split(" ")[0].upper(),
                line.partition(":")[2].split(" ")[0].strip("<>"),
            )
            key = f"RCPT {rest}" if verb == "RCPT" else verb
            said = self.answers.get(key) or self._answer(verb, line)
            writer.write(said)
            await writer.drain()
            if verb == "QUIT":
                return
            if verb == "STARTTLS" and said.startswith(b"220"):
                assert self.context is not None
                await writer.start_tls(self.context)
            if verb == "MAIL":
                sender, recipients = rest, []
            if verb == "RCPT" and said.startswith(b"250"):
                recipients.append(rest)
            if verb == "DATA" and said.startswith(b"354"):
                content = (await reader.readuntil(b"\r\n.\r\n"))[:-3].replace(b"\r\n..", b"\r\n.")
                said = self.answers.get(".", b"250 2.0.0 taken\r\n")
                encrypted = writer.get_extra_info("ssl_object") is not None
                if said.startswith(b"250"):
                    self.envelopes.append(Envelope(sender, recipients, content, encrypted))
                writer.write(said)

    def _answer(self, verb: str, line: str) -> bytes:
        if verb == "EHLO":
            offers = b"250-STARTTLS\r\n" if self.context and not self.tls_at_once else b""
            return b"250-mail.example\r\n" + offers + b"250-AUTH PLAIN\r\n250 SIZE 10000000\r\n"
        if verb == "AUTH":
            _, user, password = base64.b64decode(line.split(" ")[2]).decode().split("\0")
            good = (user, password) == self.login
            return b"235 2.7.0 welcome\r\n" if good else b"535 5.7.8 evil words\r\n"
        others = {"STARTTLS": b"220 go\r\n", "DATA": b"354 go\r\n", "QUIT": b"221 bye\r\n"}
        return others.get(verb, b"250 2.1.0 fine\r\n")
