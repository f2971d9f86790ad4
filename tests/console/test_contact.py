"""Writing without an account, and security.txt."""

from __future__ import annotations

import re
from dataclasses import replace
from urllib.parse import quote

import pytest

from relayd.control import mail, ticket
from relayd.core.actor import Actor
from relayd.core.operator import Operator
from relayd.ops.config import ConsoleConfig, ServerConfig
from tests.console.conftest import NOW_MS, Console
from tests.console.letters import api, text_of

FORM = {"email": "quokka@example.org", "about": "minor", "subject": "A child",
        "body": "My child has an account."}
LEGAL = Actor("acct_x", frozenset({"legal"}))


async def test_M3_a_report_without_an_account_becomes_a_ticket_with_a_clock(
        console: Console) -> None:
    text = await text_of(console, "/contact")
    assert 'value="minor"' in text and "do not send prompts" in text
    answer = await console.post("/contact", FORM)
    assert answer.status == 303
    number = re.fullmatch(r"/contact/sent\?ticket=(tick_\w+)", answer.headers["Location"])
    assert number is not None
    assert number[1] in await text_of(console, answer.headers["Location"])
    [found] = await ticket.queue(console.db, LEGAL)
    assert (found.id, found.ticket_class, found.account) == (number[1], "minor", None)
    assert found.due_at_ms is not None and found.due_at_ms - NOW_MS <= 24 * 3_600_000
    [out] = await mail.due(console.db, NOW_MS, 9)
    assert (out.mail.kind, out.letter.recipient) == ("ticket_received", "quokka@example.org")


@pytest.mark.parametrize("said", ["call 1-900 now", "tick_ and words", "tick_" + "é" * 26])
async def test_the_page_of_what_arrived_shows_a_number_and_nothing_else(
        console: Console, said: str) -> None:
    assert said not in await text_of(console, f"/contact/sent?ticket={quote(said)}")


async def test_X1_a_request_about_personal_data_has_its_clock(console: Console) -> None:
    status, found, _ = await api(console, None, "POST", "/api/v1/contact", {
        **FORM, "about": "privacy"})
    # 15 working days are three weeks
    assert status == 201 and found["due_at"].startswith("2027-02-0")


@pytest.mark.parametrize(("change", "status"), [
    ({"email": "nobody"}, 400), ({"subject": ""}, 400), ({"about": "appeal"}, 400),
    ({"more": "x"}, 422), ({"body": "4111 1111 1111 1111"}, 422)])
async def test_what_cannot_be_sent(
        console: Console, change: dict[str, str], status: int) -> None:
    assert (await console.post("/contact", FORM | change)).status == status
    assert await ticket.queue(console.db, LEGAL) == []


async def test_a_flood_is_slowed(console: Console) -> None:
    answers = [(await console.post("/contact", FORM)).status for _ in range(8)]
    assert answers[:4] == [303] * 4 and answers[-1] == 429
    assert len(await ticket.queue(console.db, LEGAL)) < 8


async def test_nobody_s_mailbox_is_flooded_from_many_networks(console: Console) -> None:
    console.config = replace(
        console.config, server=ServerConfig(trusted_proxies=("127.0.0.0/8",)))
    answers = [(await console.post(
        "/contact", {**FORM, "email": email}, headers={"X-Forwarded-For": f"198.51.{n}.1"})).status
        for n, email in enumerate(["quokka@example.org", " Quokka@example.org"] * 6)]
    assert answers[:4] == [303] * 4 and answers[-1] == 429
    other = await console.post("/contact", {**FORM, "email": "wombat@example.org"},
                               headers={"X-Forwarded-For": "198.51.99.1"})
    assert other.status == 303


async def test_C1_security_txt_says_where_to_report(console: Console) -> None:
    console.config = replace(
        console.config, console=ConsoleConfig("https://relay.example"),
        operator=Operator(contact="hello@example.org", security="sec@example.org"))
    answer = await console.get("/.well-known/security.txt")
    assert answer.content_type == "text/plain" and answer.charset == "utf-8"
    fields = dict(line.split(": ", 1) for line in (await answer.text()).splitlines()[1:])
    # RFC 9116: Contact and Expires are required
    assert (await answer.text()).startswith("Contact: mailto:sec@example.org\n")
    assert fields["Contact"] == "https://relay.example/contact"
    assert fields["Expires"] == "2027-07-14T08:00:00Z"
    assert fields["Canonical"] == "https://relay.example/.well-known/security.txt"
