"""Sending mail: one SMTP session for a few messages (RFC 5321), over TLS (RFC 3207, RFC 8314).

Law: what goes wrong is one of a few words; no address, no answer of a server and no credential is
in an error. A certificate that cannot be verified is never let through.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from email.headerregistry import Address, BaseHeader, HeaderRegistry, UnstructuredHeader
from email.message import EmailMessage
from email.policy import SMTP, Policy
from email.utils import format_datetime, parseaddr
from types import TracebackType
from typing import Any, Final, Literal, Self

import aiosmtplib
from aiosmtplib.response import SMTPResponse

from relayd.ops.config import MailConfig
from relayd.ops.resolver import connect

STEP_SECONDS: Final = 30.0
"""How long any one answer of the server may take."""
TAKE_SECONDS: Final = 120.0
"""The answer to a whole message may take longer, for a server looks at it then: whoever goes too
early sends it once more each time (RFC 5321 section 4.5.3.2.6)."""
_SIGN_IN: Final = 530
"""Wants a sign-in, which is said of any command (RFC 4954 section 6)."""
_ABOUT_SENDER: Final = re.compile(r"5\.1\.[78]\b", re.ASCII)
"""The sender's address is wrong (RFC 3463 section 3.2), which many servers say of its recipients.
"""
_LETTER: Final = re.compile(r"[^\x00-\x7f]")
Outcome = Literal["refused", "delayed", "sender", "unreachable", "tls", "auth", "protocol"]
OUTCOMES: Final[tuple[Outcome, ...]] = (
    "refused", "delayed", "sender", "unreachable", "tls", "auth", "protocol")
"""refused: this mail, for good. delayed: the server says later, as greylisting does. The others
are about the server or this configuration, and no fault of the mail."""


class SmtpError(Exception):
    """A mail was not taken; `args` is its outcome."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome)
        self.outcome = outcome

    @property
    def is_final(self) -> bool:
        """Whether trying again is of no use."""
        return self.outcome == "refused"


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent. `unsubscribe`: the link of one click (RFC 8058); None for service mail."""

    id: str
    at_ms: int
    recipient: str
    subject: str
    text: str
    html: str
    unsubscribe: str | None = None

    def __repr__(self) -> str:
        return f"Message({self.id!r})"


class _Link(BaseHeader, UnstructuredHeader):
    """The header of a link (RFC 2369): `email` would break a long one into encoded words, which
    no mail program reads there."""

    def fold(self, *, policy: Policy) -> str:
        """The link whole."""
        return f"{self.name}: {self}{policy.linesep}"


def _headers() -> HeaderRegistry:
    made = HeaderRegistry()
    made.map_to_type("list-unsubscribe", _Link)
    return made


def compose(message: Message, config: MailConfig) -> EmailMessage:
    """The message with its headers; its text as it is and as HTML."""
    made = EmailMessage(policy=SMTP.clone(header_factory=_headers()))
    made["From"] = _address(parseaddr(config.sender)[0], _sender(config), "sender")
    made["To"] = _address("", mailbox(message.recipient))
    if config.reply_to:
        name, address = parseaddr(config.reply_to)
        made["Reply-To"] = _address(name, mailbox(address), "sender")
    made["Subject"] = message.subject
    made["Date"] = format_datetime(datetime.fromtimestamp(message.at_ms / 1000, UTC))
    made["Message-ID"] = f"<{message.id}@{_domain(config)}>"
    # RFC 3834: no vacation answers to this
    made["Auto-Submitted"] = "auto-generated"
    if message.unsubscribe is not None:
        made["List-Unsubscribe"] = f"<{message.unsubscribe}>"
        made["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    made.set_content(message.text)
    made.add_alternative(message.html, subtype="html")
    return made


def _address(name: str, address: str, outcome: Outcome = "refused") -> Address:
    """Raises SmtpError, with this outcome, for what no header can hold."""
    local, _, domain = address.rpartition("@")
    try:
        if local.isascii():
            return Address(name, addr_spec=address)
        # one for servers that take such (RFC 6531); the parser refuses it for its letters alone
        Address(addr_spec=_LETTER.sub("x", local) + "@" + domain)
        return Address(name, username=local, domain=domain)
    except Exception:  # the parser has its own errors for some, and stumbles over others
        raise SmtpError(outcome) from None


def mailbox(address: str) -> str:
    """The address with its domain as every server takes it (RFC 5890 section 2.3.2.1), where that
    says the same: there are letters, such as ß, that would lead to another domain."""
    local, at, domain = address.rpartition("@")
    if domain.isascii() or not local.isascii():
        return address
    try:
        plain = domain.encode("idna")
        same = plain.decode("idna") == domain.lower()
    except UnicodeError:
        return address
    return f"{local}{at}{plain.decode('ascii')}" if same else address


def _sender(config: MailConfig) -> str:
    return mailbox(parseaddr(config.sender)[1])


def _domain(config: MailConfig) -> str:
    domain = _sender(config).rpartition("@")[2]
    return domain if domain and domain.isascii() else "localhost"


class _Client(aiosmtplib.SMTP):
    """One that waits longer for the answer to a message than for any other."""

    take_seconds = TAKE_SECONDS

    async def data(self, message: str | bytes, /, *, timeout: Any = None) -> SMTPResponse:
        """Sends a message."""
        return await super().data(message, timeout=self.take_seconds)


class SmtpSession:
    """A connection to the mail server: `async with SmtpSession(config) as session`."""

    def __init__(
        self, config: MailConfig, step_seconds: float = STEP_SECONDS,
        take_seconds: float = TAKE_SECONDS,
    ) -> None:
        self._config = config
        self._step_seconds = step_seconds
        self._client = _Client(
            hostname=config.host, timeout=step_seconds,
            use_tls=config.tls == "tls", start_tls=False,
            tls_context=None if config.tls == "none" else context(config.ca_file),
            # not this machine's own name, which is nobody's business
            local_hostname=_domain(config))
        self._client.take_seconds = take_seconds

    async def __aenter__(self) -> Self:
        try:
            await self._open()
        except BaseException as error:
            self._client.close()
            if isinstance(error, SmtpError) or not isinstance(error, Exception):
                raise
            raise SmtpError(_outcome(error)) from None
        return self

    async def _open(self) -> None:
        config, client = self._config, self._client
        async with asyncio.timeout(self._step_seconds):
            sock = await connect(config.host, config.port)
        try:
            await client.connect(sock=sock)
        except BaseException:
            sock.close()
            raise
        if config.tls == "starttls":
            await client.ehlo()
            if not client.supports_extension("starttls"):
                raise SmtpError("tls")
            await client.starttls()
        if config.credential:
            await self._sign_in()

    async def _sign_in(self) -> None:
        config = self._config
        try:
            await self._client.login(config.user or parseaddr(config.sender)[1],
                                     config.credential)
        except aiosmtplib.SMTPException as error:
            if type(error) is aiosmtplib.SMTPException:  # no sign-in there, or by no known way
                raise SmtpError("auth") from None
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            # who was told to stop waits for no more answers
            if self._client.is_connected and (error is None or isinstance(error, Exception)):
                await self._client.quit()
        except (aiosmtplib.SMTPException, OSError):
            pass
        finally:
            self._client.close()

    async def send(self, message: Message) -> None:
        """Returns once the server has taken the message. Raises SmtpError."""
        try:
            made = compose(message, self._config)
        except ValueError:  # what no mail can hold keeps no other back
            raise SmtpError("refused") from None
        try:
            await self._client.send_message(
                made, sender=_sender(self._config), recipients=[mailbox(message.recipient)])
        except Exception as error:
            raise SmtpError(_outcome(error)) from None


def context(ca_file: str | None) -> ssl.SSLContext:
    """What the server's certificate is verified by: the system's authorities, or a file's."""
    made = ssl.create_default_context(cafile=ca_file)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    return made


def _outcome(error: BaseException) -> Outcome:
    """The word for an error, by its type and number."""
    behind = error.__cause__ or error.__context__
    if isinstance(error, ssl.SSLError) or isinstance(behind, ssl.SSLError):
        return "tls"
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        return _outcome(error.recipients[0]) if error.recipients else "protocol"
    if isinstance(error, aiosmtplib.SMTPAuthenticationError):
        return "auth"
    if isinstance(error, aiosmtplib.SMTPSenderRefused) and error.code >= 500:
        return "sender"
    if isinstance(error, (aiosmtplib.SMTPDataError, aiosmtplib.SMTPRecipientRefused,
                          aiosmtplib.SMTPSenderRefused)):
        return _refusal(error.code, error.message)
    if isinstance(error, aiosmtplib.SMTPNotSupported):
        return "refused"
    unreachable = (aiosmtplib.SMTPConnectError, aiosmtplib.SMTPTimeoutError,
                   aiosmtplib.SMTPServerDisconnected, OSError)
    return "unreachable" if isinstance(error, unreachable) else "protocol"


def _refusal(code: int, message: str) -> Outcome:
    if code == _SIGN_IN or _ABOUT_SENDER.match(message):
        return "sender"
    return "refused" if code >= 500 else "delayed"
