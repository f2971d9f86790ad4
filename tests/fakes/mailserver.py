"""A real SMTP server on a free port: over TLS with a certificate made on the spot, keeping what it
takes, and answering as the recipient's name says (`later@` twice, `never@`, `gone@`, `slow@`), or
with `says` to the command `MAIL`, `RCPT` or `DATA`.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any, Literal, cast

import trustme
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword, Session
from aiosmtpd.smtp import SMTP as Server

Tls = Literal["starttls", "tls", "none"]
SLOW_SECONDS = 0.6


class MailServer:
    """`async with MailServer(tmp_path) as server`; `mails` are those it took, in order."""

    def __init__(
        self, folder: Path, tls: Tls = "starttls", *, password: str | None = None,
        name: str = "localhost", port: int = 0, utf8: bool = False,
        says: Mapping[str, str] | None = None,
    ) -> None:
        authority = trustme.CA()
        self.ca_file = str(folder / "mail-ca.pem")
        authority.cert_pem.write_to_path(self.ca_file)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name).configure_cert(self._context)
        self._tls, self._password, self._wanted = tls, password, port
        self._utf8, self._says = utf8, says or {}
        self.mails: list[EmailMessage] = []
        self.recipients: list[str] = []
        self.senders: list[str] = []
        self.hellos: list[str] = []
        self.tried: list[str] = []

    @property
    def port(self) -> int:
        """Where it listens."""
        return cast(int, self._server.sockets[0].getsockname()[1])

    async def __aenter__(self) -> MailServer:
        more: dict[str, Any] = {}
        if self._tls == "starttls":
            more = {"tls_context": self._context, "require_starttls": True}
        if self._password is not None:
            more |= {"authenticator": self._signs_in, "auth_required": True,
                     "auth_require_tls": self._tls == "starttls"}
        self._server = await asyncio.get_running_loop().create_server(
            lambda: Server(self, enable_SMTPUTF8=self._utf8, hostname="mail.example", **more),
            "127.0.0.1", self._wanted, ssl=self._context if self._tls == "tls" else None)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    def _signs_in(self, server: Server, session: Session, envelope: Envelope, mechanism: str,
                  data: LoginPassword) -> AuthResult:
        right = data.password == (self._password or "").encode()
        return AuthResult(success=right, handled=right)

    async def handle_EHLO(self, server: Server, session: Session, envelope: Envelope, name: str,
                          responses: list[str]) -> list[str]:
        """Says hello."""
        self.hellos.append(name)
        session.host_name = name
        return responses

    async def handle_MAIL(self, server: Server, session: Session, envelope: Envelope,
                          address: str, options: list[str]) -> str:
        """Takes or refuses a sender."""
        if "MAIL" in self._says:
            return self._says["MAIL"]
        self.senders.append(address)
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, server: Server, session: Session, envelope: Envelope,
                          address: str, options: list[str]) -> str:
        """Takes, delays or refuses a recipient by its name."""
        self.tried.append(address)
        if "RCPT" in self._says:
            return self._says["RCPT"]
        if address.startswith("later@") and self.tried.count(address) < 3:
            return "451 4.7.1 Greylisted, try again"
        if address.startswith("never@"):
            return "550 5.1.1 No such user"
        if address.startswith("gone@"):
            return "421 4.3.2 Going away"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Server, session: Session, envelope: Envelope) -> str:
        """Keeps a message."""
        if "DATA" in self._says:
            return self._says["DATA"]
        if "slow@" in envelope.rcpt_tos[0]:
            await asyncio.sleep(SLOW_SECONDS)
        if "spam@" in envelope.rcpt_tos[0]:
            return "554 5.7.1 Looks like spam"
        found = message_from_bytes(cast(bytes, envelope.content), policy=default)
        self.mails.append(cast(EmailMessage, found))
        self.recipients += envelope.rcpt_tos
        return "250 OK"


def text_of(mail: EmailMessage, kind: str = "plain") -> str:
    """The mail's text, or its HTML."""
    body = mail.get_body((kind,))
    assert body is not None
    return str(cast(EmailMessage, body).get_content()).replace("\r\n", "\n")


def links_in(mail: EmailMessage) -> list[str]:
    """The lines of its text that are addresses of pages."""
    return [line for line in text_of(mail).splitlines() if line.startswith("http")]
