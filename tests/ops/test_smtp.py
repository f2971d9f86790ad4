"""Sending to a real SMTP server: over TLS that is verified, with each way in which it fails."""

from __future__ import annotations

import asyncio
import socket
import threading
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trustme
import uvloop
from aiohttp import test_utils
from aiosmtplib.email import flatten_message

from relayd.ops.config import MailConfig
from relayd.ops.smtp import OUTCOMES, Message, SmtpError, SmtpSession, compose, mailbox
from tests.fakes.mailserver import SLOW_SECONDS, MailServer, text_of

MESSAGE = Message("mail_1", 1_767_225_600_000, "ann@example.org", "Grüße 您好",
                  "Hello 您好\n", "<p>Hello</p>\n")


def config_for(server: MailServer, **changes: Any) -> MailConfig:
    config = MailConfig("localhost", server.port, "starttls", ca_file=server.ca_file,
                        sender="Relay <no-reply@relay.example>")
    return replace(config, **changes)


async def outcome(config: MailConfig, message: Message = MESSAGE) -> str:
    try:
        async with SmtpSession(config, 5.0) as session:
            await session.send(message)
    except SmtpError as error:
        assert error.outcome in OUTCOMES and error.is_final == (error.outcome == "refused")
        assert "example.org" not in repr(error) and error.__cause__ is None
        return error.outcome
    return "taken"


@pytest.mark.parametrize("tls", ["starttls", "tls"])
async def test_a_mail_arrives_over_tls(tmp_path: Path, tls: Any) -> None:
    async with MailServer(tmp_path, tls) as server:
        assert await outcome(config_for(server, tls=tls)) == "taken"
    [mail] = server.mails
    assert server.recipients == ["ann@example.org"]
    assert mail["From"] == "Relay <no-reply@relay.example>" and mail["Subject"] == "Grüße 您好"
    assert mail["Message-ID"] == "<mail_1@relay.example>"
    assert mail["Auto-Submitted"] == "auto-generated" and "List-Unsubscribe" not in mail
    assert text_of(mail) == "Hello 您好\n" and text_of(mail, "html") == "<p>Hello</p>\n"
    # this machine's own name is told to nobody
    assert set(server.hellos) == {"relay.example"}


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_the_same_on_the_loop_that_serves(tmp_path: Path, tls: Any) -> None:
    async def work() -> str:
        async with MailServer(tmp_path, tls, password="quokka") as server:
            return await outcome(config_for(server, tls=tls, credential="quokka"))

    with warnings.catch_warnings():
        # aiosmtpd's own, about servers without STARTTLS
        warnings.simplefilter("ignore")
        assert uvloop.run(work()) == "taken"


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_its_server_is_looked_up_on_a_thread_of_its_own(
    tmp_path: Path, tls: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[str] = []
    getaddrinfo = socket.getaddrinfo

    def resolver(*what: Any, **more: Any) -> Any:
        threads.append(threading.current_thread().name)
        return getaddrinfo(*what, **more)

    async def work() -> str:
        async with MailServer(tmp_path, tls) as server:
            monkeypatch.setattr(socket, "getaddrinfo", resolver)
            return await outcome(config_for(server, tls=tls))

    assert uvloop.run(work()) == "taken" and threads == ["name look-up"]


async def test_several_mails_in_one_session(tmp_path: Path) -> None:
    async with MailServer(tmp_path) as server:
        async with SmtpSession(config_for(server)) as session:
            await session.send(MESSAGE)
            with pytest.raises(SmtpError):
                await session.send(replace(MESSAGE, recipient="never@example.org"))
            await session.send(replace(MESSAGE, recipient="bob@example.org"))
    assert server.recipients == ["ann@example.org", "bob@example.org"]


async def test_signing_in(tmp_path: Path) -> None:
    async with MailServer(tmp_path, password="quokka") as server:
        assert await outcome(config_for(server, credential="quokka", user="relay")) == "taken"
        assert await outcome(config_for(server, credential="wombat")) == "auth"
        assert await outcome(config_for(server)) == "sender"


@pytest.mark.parametrize(("recipient", "word"), [
    ("never@example.org", "refused"), ("later@example.org", "delayed"),
    ("spam@example.org", "refused"), ("é@example.org", "refused"), ("nobody", "refused"),
    ("ann@example..org", "refused"), ("<ann>@example.org", "refused"), ("ann@[;", "refused"),
])
async def test_what_the_server_says_of_a_recipient(
        tmp_path: Path, recipient: str, word: str) -> None:
    async with MailServer(tmp_path) as server:
        assert await outcome(config_for(server), replace(MESSAGE, recipient=recipient)) == word


@pytest.mark.parametrize(("command", "answer", "word"), [
    ("MAIL", "450 4.7.1 Greylisted", "delayed"), ("MAIL", "452 4.3.1 Full", "delayed"),
    ("MAIL", "550 5.7.1 Not from there", "sender"), ("MAIL", "530 5.7.0 Sign in", "sender"),
    # wanted of any command, and no fault of the mail
    ("RCPT", "530 5.7.0 Sign in", "sender"), ("DATA", "530 5.7.57 Sign in", "sender"),
    ("RCPT", "550 5.1.8 Sender's domain not found", "sender"),
    ("DATA", "553 5.1.7 Sender rejected", "sender"), ("RCPT", "450 4.1.8 Not now", "delayed"),
    ("RCPT", "550 5.1.80 No such user", "refused"), ("RCPT", "550 5.7.1 No such user", "refused"),
    ("DATA", "452 4.3.1 Full", "delayed"),
])
async def test_what_the_server_says_of_a_command(
        tmp_path: Path, command: str, answer: str, word: str) -> None:
    async with MailServer(tmp_path, says={command: answer}) as server:
        assert await outcome(config_for(server)) == word


async def test_a_server_without_signing_in_takes_no_password(tmp_path: Path) -> None:
    async with MailServer(tmp_path) as server:
        assert await outcome(config_for(server, credential="quokka")) == "auth"
    assert server.tried == []


async def test_a_mailbox_in_letters_of_its_own_goes_to_a_server_that_takes_such(
        tmp_path: Path) -> None:
    told = replace(MESSAGE, recipient="安娜@example.org")
    async with MailServer(tmp_path, utf8=True) as server:
        assert await outcome(config_for(server), told) == "taken"
        for wrong in ("安..娜@example.org", "<安>@example.org", "安@example..org"):
            assert await outcome(config_for(server), replace(told, recipient=wrong)) == "refused"
    assert server.recipients == ["安娜@example.org"]
    assert "安娜@example.org".encode() in server.mails[0].as_bytes()
    async with MailServer(tmp_path) as server:
        assert await outcome(config_for(server), told) == "refused"


async def test_a_sender_at_a_domain_in_letters_of_its_own(tmp_path: Path) -> None:
    async with MailServer(tmp_path) as server:
        assert await outcome(config_for(
            server, sender="Büro <no-reply@bücher.example>",
            reply_to="help@bücher.example")) == "taken"
    plain = "xn--bcher-kva.example"
    assert server.senders == [f"no-reply@{plain}"] and set(server.hellos) == {plain}
    [mail] = server.mails
    assert mail["From"] == f"Büro <no-reply@{plain}>" and mail["Reply-To"] == f"help@{plain}"
    assert mail["Message-ID"] == f"<mail_1@{plain}>"


@pytest.mark.parametrize("change", [{"text": "\udcff"}, {"subject": "a\nBcc: bob@example.org"}])
async def test_what_no_mail_can_hold_keeps_no_other_back(
        tmp_path: Path, change: dict[str, str]) -> None:
    async with MailServer(tmp_path) as server:
        assert await outcome(config_for(server), replace(MESSAGE, **change)) == "refused"
    assert server.mails == []


async def test_a_sender_that_is_no_address_is_no_fault_of_the_mail(tmp_path: Path) -> None:
    async with MailServer(tmp_path) as server:
        assert await outcome(config_for(server, sender="relay@example..org")) == "sender"
        assert await outcome(config_for(server, reply_to="<<a>@example.org")) == "sender"


async def test_a_certificate_that_is_not_trusted(tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    async with MailServer(tmp_path) as server:
        assert await outcome(config_for(server, ca_file=str(other))) == "tls"
        assert await outcome(config_for(server, ca_file=None)) == "tls"
    async with MailServer(tmp_path, "tls") as server:
        assert await outcome(config_for(server, tls="tls", ca_file=str(other))) == "tls"
    assert server.mails == []


async def test_a_certificate_of_another_host(tmp_path: Path) -> None:
    async with MailServer(tmp_path, name="other.example") as server:
        assert await outcome(config_for(server)) == "tls"
    assert server.mails == []


async def test_a_server_without_starttls_gets_nothing(tmp_path: Path) -> None:
    async with MailServer(tmp_path, "none") as server:
        assert await outcome(config_for(server)) == "tls"
        assert server.mails == [] and server.tried == []
        assert await outcome(config_for(server, tls="none")) == "taken"


async def test_a_server_that_is_down(tmp_path: Path) -> None:
    async with MailServer(tmp_path) as server:
        config = config_for(server, port=test_utils.unused_port())
        assert await outcome(config) == "unreachable"


async def test_a_server_that_looks_at_a_message_for_long_gets_it_once(tmp_path: Path) -> None:
    slow = replace(MESSAGE, recipient="slow@example.org")
    async with MailServer(tmp_path) as server:
        async with SmtpSession(config_for(server), SLOW_SECONDS / 3) as session:
            await session.send(slow)
        with pytest.raises(SmtpError, match="unreachable"):
            async with SmtpSession(config_for(server), 5.0, SLOW_SECONDS / 3) as session:
                await session.send(slow)


async def test_who_is_told_to_stop_waits_for_no_more_answers(tmp_path: Path) -> None:
    async with MailServer(tmp_path) as server:
        sending = asyncio.create_task(
            outcome(config_for(server), replace(MESSAGE, recipient="slow@example.org")))
        while not server.tried:
            await asyncio.sleep(0.01)
        await asyncio.sleep(SLOW_SECONDS / 3)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        assert server.mails == []


@pytest.mark.parametrize(("typed", "taken"), [
    ("ann@münchen.example", "ann@xn--mnchen-3ya.example"),
    ("ann@例子.example", "ann@xn--fsqu00a.example"),
    ("ann@MÜNCHEN.example", "ann@xn--mnchen-3ya.example"),
])
async def test_a_domain_in_letters_of_its_own_needs_no_newer_server(
    tmp_path: Path, typed: str, taken: str,
) -> None:
    async with MailServer(tmp_path) as server:
        assert await outcome(config_for(server), replace(MESSAGE, recipient=typed)) == "taken"
    assert server.recipients == [taken] and server.mails[0]["To"] == taken


@pytest.mark.parametrize("typed", ["ann@straße.example", "änn@münchen.example", "ann@a..ü",
                                   "ann@\u2024ü"])
def test_a_domain_is_never_made_another_one(typed: str) -> None:
    assert mailbox(typed) == typed


def test_headers_of_mail_that_can_be_unsubscribed() -> None:
    config = MailConfig(sender="no-reply@relay.example", reply_to="Help <help@relay.example>")
    made = compose(replace(MESSAGE, unsubscribe="https://r.example/unsubscribe?token=x"), config)
    # RFC 8058 section 3.1
    assert made["List-Unsubscribe"] == "<https://r.example/unsubscribe?token=x>"
    assert made["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert made["Reply-To"] == "Help <help@relay.example>"
    assert made["Date"] == "Thu, 01 Jan 2026 00:00:00 +0000"


@pytest.mark.parametrize("chars", [1, 20, 80, 900])
def test_the_link_of_one_click_is_sent_as_it_is(chars: int) -> None:
    # RFC 2047 section 5: no encoded word stands in such a header, and no program reads one there
    link = "https://r.example/unsubscribe?token=" + "Zx-_9." * (chars // 6 + 1)
    made = compose(replace(MESSAGE, unsubscribe=link), MailConfig(sender="a@relay.example"))
    sent = flatten_message(made)
    assert f"\r\nList-Unsubscribe: <{link}>\r\nList-Unsubscribe-Post: ".encode() in sent
    assert max(len(line) for line in sent.split(b"\r\n")) <= 998


def test_a_message_is_in_no_repr() -> None:
    assert repr(MESSAGE) == "Message('mail_1')"
