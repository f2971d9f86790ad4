"""Partners' messages against a real store and partners that really sign: once, or not at all."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace

import orjson
import pytest

from relayd.control import mail, order, webhook
from relayd.control.order import RefundWish
from relayd.control.partner import payments
from relayd.core.actor import SHELL
from relayd.core.currency import to_nano
from relayd.core.errors import RelayError
from relayd.core.order import ALARMS
from relayd.core.partner import PartnerEvent
from relayd.demo.partner import DemoPartner
from relayd.demo.partner_delivery import Message
from relayd.demo.partner_trade import Returned, Trade
from relayd.store import partner as store_partner
from tests.fakes import till as tills
from tests.fakes.audited import audited
from tests.fakes.till import URL, Till, till

__all__ = ["till"]
PARTNERS = ("card", "alipay", "wechat")
AMOUNT = 12345
FULL = to_nano(AMOUNT, "CNY")
each_partner = pytest.mark.parametrize("partner", PARTNERS)


async def other_demo(till: Till, name: str = "stranger") -> DemoPartner:
    """A partner with other keys: whoever forges."""
    return DemoPartner(tills.keys(name), f"{URL}/pay/webhook/card", now_ms=lambda: till.now_ms,
                       by_itself=False)


async def refused(till: Till, partner: str, message: Message) -> str:
    with pytest.raises(RelayError) as caught:
        await till.hear(partner, message)
    return caught.value.code


async def erase(till: Till) -> None:
    """What an erasure leaves of the account."""
    async with till.db.writing() as transaction:
        columns = await transaction.rows("SELECT name FROM pragma_table_info('accounts')")
        sealed = [name for name, in columns if name.startswith("email")]
        await transaction.run(
            "UPDATE accounts SET state = 'erased', name = NULL, "
            + ", ".join(f"{name} = NULL" for name in sealed))


async def untouched(till: Till) -> bool:
    return await till.balance() == 0 and await till.wrong() == []


@each_partner
async def test_a_payment_is_credited(till: Till, partner: str) -> None:
    made = await till.order(partner)
    assert made.state == "pending" and made.page
    _, message = await till.paid(made)
    heard = await till.hear(partner, message)
    assert (heard.outcome, heard.is_alarm) == ("credited", False)
    assert heard.acknowledgement.status in (200, 204)
    after = await till.look(made)
    assert after.state == "credited" and after.page is None and after.trade
    assert await till.balance() == FULL and await till.wrong() == []


@each_partner
async def test_ten_times_the_same(till: Till, partner: str) -> None:
    made = await till.order(partner)
    _, message = await till.paid(made)
    # at once, and one after the other
    at_once = await asyncio.gather(*[till.hear(partner, message) for _ in range(10)])
    assert {heard.outcome for heard in at_once} == {"credited"}
    for _ in range(10):
        assert (await till.hear(partner, message)).outcome == "credited"
    assert await till.balance() == FULL and await till.wrong() == []


@each_partner
async def test_many_messages_about_one_payment(till: Till, partner: str) -> None:
    made = await till.order(partner)
    trade, first = await till.paid(made)
    others = [till.demo.tell(trade, "paid") for _ in range(9)]
    outcomes = [(await till.hear(partner, message)).outcome for message in (*others, first)]
    assert outcomes == ["credited"] + ["already"] * 9
    assert await till.balance() == FULL


@each_partner
async def test_a_forger_s_message(till: Till, partner: str) -> None:
    made = await till.order(partner)
    trade = await till.trade(made)
    forger = await other_demo(till)
    trade.state = "paid"
    assert await refused(till, partner, forger.tell(trade, "paid")) == "webhook_forged"
    trade.state = "open"
    assert await untouched(till) and (await till.look(made)).state == "pending"


async def test_an_empty_secret(till: Till) -> None:
    made = await till.order("card")
    trade = await till.trade(made)
    card = till.demo.config().partners["card"]
    empty = replace(till.demo.config(), partners={"card": replace(card, webhook_secrets=("",))})
    till.payments = payments(empty, URL)
    forger = DemoPartner(replace(tills.keys(), webhook_secret=""), f"{URL}/pay/webhook/card",
                         now_ms=lambda: till.now_ms, by_itself=False)
    trade.state = "paid"
    assert await refused(till, "card", forger.tell(trade, "paid")) == "webhook_forged"
    assert await untouched(till)


@pytest.mark.parametrize("partner, change, outcome", [
    *((partner, change, outcome) for partner in PARTNERS for change, outcome in (
        ({"amount": 1}, "other_amount"), ({"amount": AMOUNT + 1}, "other_amount"),
        ({"amount": AMOUNT * 100}, "other_amount"), ({"order": "ord_nobody"}, "unknown_order"))),
    # Alipay's messages have no currency: it is always yuan
    ("card", {"currency": "USD"}, "other_currency"),
    ("wechat", {"currency": "USD"}, "other_currency"),
])
async def test_what_does_not_fit_the_order(
    till: Till, partner: str, change: dict[str, object], outcome: str
) -> None:
    """Signed by the partner itself, and still not what was ordered."""
    made = await till.order(partner)
    trade = await till.trade(made)
    trade.told = trade.told._replace(**change)
    assert till.demo.pay(trade)
    message = till.demo.delivery.messages[-1]
    heard = await till.hear(partner, message)
    assert heard.outcome == outcome and heard.is_alarm
    assert heard.acknowledgement.status in (200, 204)
    assert await untouched(till) and (await till.look(made)).state == "pending"
    async with till.db.reading() as transaction:
        [seen] = await store_partner.unseen(transaction, ALARMS, 10)
    assert (seen.partner, seen.outcome) == (partner, outcome)
    for first in (True, False):
        assert await webhook.see(till.db, SHELL, partner, seen.event, till.now_ms) is first
    assert await webhook.alarms(till.db) == []
    assert [act[2:] for act in await audited(till.db, "alarm.see")] == [
        (None, {"partner": partner})]


@each_partner
async def test_a_signed_message_that_the_partner_does_not_confirm(
    till: Till, partner: str
) -> None:
    """Whoever has the webhook's secret, but not the money: the partner is asked."""
    made = await till.order(partner)
    trade = await till.trade(made)
    trade.state = "paid"
    message = till.demo.tell(trade, "paid")
    trade.state = "open"
    assert await refused(till, partner, message) == "partner_failed"
    assert await untouched(till)
    # said again when it is true
    assert till.demo.book.pay(trade)
    assert (await till.hear(partner, message)).outcome == "credited"
    assert await till.balance() == FULL


@each_partner
async def test_the_partner_s_own_figures_count(till: Till, partner: str) -> None:
    """A signed message with the order's amount, where the partner has another one."""
    made = await till.order(partner)
    trade, message = await till.paid(made)
    trade.told = trade.told._replace(amount=1)
    heard = await till.hear(partner, message)
    assert heard.outcome == "other_amount" and heard.is_alarm
    assert await untouched(till)


@each_partner
async def test_a_partner_that_cannot_be_asked_is_heard_later(till: Till, partner: str) -> None:
    made = await till.order(partner)
    _, message = await till.paid(made)
    book, port = till.demo.book, till.demo.port
    await till.demo.stop()
    assert await refused(till, partner, message) == "partner_failed"
    assert await untouched(till)
    till.demo = DemoPartner(tills.keys(), f"{URL}/pay/webhook/card",
                            now_ms=lambda: till.now_ms, by_itself=False)
    till.demo.book.trades = book.trades
    await till.demo.start(port)
    assert (await till.hear(partner, message)).outcome == "credited"
    assert await till.balance() == FULL


@each_partner
async def test_one_partner_s_message_at_another_s_address(till: Till, partner: str) -> None:
    made = await till.order(partner)
    _, message = await till.paid(made)
    for other in PARTNERS:
        if other != partner:
            assert await refused(till, other, message) == "webhook_forged"
    with pytest.raises(RelayError) as caught:
        await till.hear("nobody", message)
    assert caught.value.code == "partner_not_found"
    assert await untouched(till)


async def test_two_partners_of_a_kind_with_the_same_secret(till: Till) -> None:
    """A message of one is signed for the other as well; the order says whose it is."""
    config = till.demo.config()
    card = config.partners["card"]
    both = replace(config, partners={"card": card, "other": replace(card, name="other")})
    till.payments = payments(both, URL)
    _, message = await till.paid(await till.order("card"))
    assert (await till.hear("other", message)).outcome == "other_partner"
    assert await untouched(till)
    assert (await till.hear("card", message)).outcome == "credited"


@each_partner
async def test_an_old_message(till: Till, partner: str) -> None:
    made = await till.order(partner)
    _, message = await till.paid(made)
    headers, body = message.sign(message.body)
    lower = {name.lower(): value for name, value in headers.items()}
    late = till.now_ms + 27 * 3_600_000
    with pytest.raises(RelayError) as caught:
        await webhook.hear(till.db, till.payments, partner, (lower, body), late)
    assert caught.value.code == "webhook_stale"
    assert await untouched(till)


@each_partner
async def test_a_late_payment_is_credited(till: Till, partner: str) -> None:
    made = await till.order(partner)
    _, message = await till.paid(made)
    async with till.db.writing() as transaction:
        await transaction.run("UPDATE orders SET state = 'expired', page = NULL")
    assert (await till.hear(partner, message)).outcome == "credited"
    assert await till.balance() == FULL


@each_partner
async def test_a_payment_of_an_order_whose_answer_was_lost(till: Till, partner: str) -> None:
    made = await till.order(partner)
    _, message = await till.paid(made)
    async with till.db.writing() as transaction:
        await transaction.run(
            "UPDATE orders SET state = 'created', page = NULL, session = NULL")
    assert (await till.hear(partner, message)).outcome == "credited"
    assert await till.balance() == FULL


async def test_one_payment_does_not_pay_two_orders(till: Till) -> None:
    first, trade = await till.credited()
    second = await till.order()
    other = await till.trade(second)
    other.number = trade.number
    assert till.demo.pay(other)
    heard = await till.hear("card", till.demo.delivery.messages[-1])
    assert heard.outcome == "trade_taken" and heard.is_alarm
    assert await till.balance() == FULL
    assert (await till.look(second)).state == "pending"


async def test_an_order_paid_twice(till: Till) -> None:
    made, trade = await till.credited()
    trade.number = "pi_another"
    heard = await till.hear("card", till.demo.tell(trade, "paid"))
    assert heard.outcome == "paid_twice" and heard.is_alarm
    assert await till.balance() == FULL


async def test_failed_and_expired(till: Till) -> None:
    for what in ("failed", "expired"):
        made = await till.order()
        trade = await till.trade(made)
        trade.state = what  # type: ignore[assignment]
        assert (await till.hear("card", till.demo.tell(trade, what))).outcome == what
        assert (await till.look(made)).state == what
    assert [each.kind for each in await mail.listing(till.db)] == ["payment_failed"]
    assert await untouched(till)


@each_partner
async def test_a_refund_that_the_partner_made(till: Till, partner: str) -> None:
    made, trade = await till.credited(partner)
    till.demo.refund(trade, amount=45)
    message = till.demo.delivery.messages[-1]
    for _ in range(3):
        assert (await till.hear(partner, message)).outcome == "returned"
    assert await till.balance() == to_nano(AMOUNT - 45, "CNY")
    till.demo.refund(trade)
    assert (await till.hear(partner, till.demo.delivery.messages[-1])).outcome == "returned"
    assert (await till.look(made)).state == "refunded"
    assert await till.balance() == 0 and await till.wrong() == []


@each_partner
async def test_a_refund_that_is_told_again_is_no_alarm(till: Till, partner: str) -> None:
    """Stripe tells of a refund when it is made and when it changes, each with an id of its own."""
    made, trade = await till.credited(partner)
    till.demo.refund(trade, amount=AMOUNT - 45)
    first, again = till.demo.delivery.messages[-1], till.demo.tell(
        trade, "refunded", trade.refunds[0])
    assert (await till.hear(partner, first)).outcome == "returned"
    heard = await till.hear(partner, again)
    assert (heard.outcome, heard.is_alarm) == ("already", False)
    assert await till.balance() == to_nano(45, "CNY") and await till.wrong() == []


async def test_a_refund_that_the_payer_s_bank_sends_back(till: Till) -> None:
    """Weeks after Stripe had said that it was done: the money is in the balance again, once."""
    made, trade = await till.credited()
    asked = await till.refund(made, 300)
    assert asked.state == "done"
    till.demo.refund(trade, amount=45)
    await till.hear("card", till.demo.delivery.messages[-1])
    for number, back in enumerate(trade.refunds):
        back.bounced = True
        messages = [till.demo.tell(trade, "refunded", back) for _ in range(2)]
        for message in (messages[0], *messages, messages[0]):
            heard = await till.hear("card", message)
            assert heard.outcome == ("bounced" if message is messages[0] else "already")
            assert not heard.is_alarm
        assert (await till.look(made)).refunded_minor == (45, 0)[number]
    assert (await till.look(made)).state == "credited"
    assert await till.balance() == FULL and await till.wrong() == []
    async with till.db.reading() as transaction:
        mails = await transaction.rows("SELECT kind FROM outbox")
        rows = await transaction.rows(
            "SELECT details FROM audit_log WHERE action = 'refund.end' ORDER BY seq")
    assert sorted(kind for kind, in mails) == [
        "receipt", "refund_failed", "refund_failed", "refunded", "refunded"]
    assert [(said["outcome"], said["amount_minor"]) for said in (
        orjson.loads(details) for details, in rows)] == [
        ("returned", 300), ("returned", 45), ("bounced", 300), ("bounced", 45)]
    # and it can be returned anew
    assert (await till.refund(await till.look(made), AMOUNT)).state == "done"
    assert await till.balance() == 0 and await till.wrong() == []


async def test_a_refund_of_an_erased_account_comes_back_too(till: Till) -> None:
    made, trade = await till.credited()
    await till.refund(made, 300)
    async with till.db.writing() as transaction:
        await transaction.run("UPDATE orders SET session = NULL, trade = NULL")
    await erase(till)
    [back] = trade.refunds
    back.bounced = True
    heard = await till.hear("card", till.demo.tell(trade, "refunded", back))
    # nobody is there who would ask for it
    assert (heard.outcome, heard.is_alarm) == ("unclaimed", True)
    assert await till.balance() == FULL and await till.wrong() == []
    again = await till.hear("card", till.demo.tell(trade, "refunded", back))
    assert (again.outcome, again.is_alarm) == ("already", False)


@each_partner
async def test_a_payment_that_an_erased_account_s_order_still_gets_is_told(
    till: Till, partner: str
) -> None:
    made = await till.order(partner)
    trade, message = await till.paid(made)
    await erase(till)
    heard = await till.hear(partner, message)
    assert (heard.outcome, heard.is_alarm) == ("unclaimed", True)
    assert await till.balance() == FULL and await till.wrong() == []
    assert [said.order for said in await webhook.alarms(till.db)] == [made.id]
    assert (await till.hear(partner, message)).outcome == "unclaimed"
    assert await till.balance() == FULL and await mail.listing(till.db) == []


async def test_a_refund_of_an_erased_account_that_fails_is_told(till: Till) -> None:
    made, _ = await till.credited()
    asked = await order.begin_refund(till.db, SHELL, RefundWish(made.id, 45, "as asked"),
                                     till.now_ms)
    await erase(till)
    failed = PartnerEvent("card", "", "refund_failed", made.id, reference=asked.id)
    assert await webhook.apply(till.db, till.payments, failed, till.now_ms) == "unclaimed"
    assert await till.balance() == FULL
    assert [said.outcome for said in await webhook.alarms(till.db)] == ["unclaimed"]
    assert await webhook.apply(till.db, till.payments, failed, till.now_ms) == "already"


async def test_a_dispute_that_an_erased_account_won_is_told(till: Till) -> None:
    _, trade = await till.credited()
    till.demo.dispute(trade)
    await till.hear("card", till.demo.delivery.messages[-1])
    await erase(till)
    till.demo.close(trade, won=True)
    heard = await till.hear("card", till.demo.delivery.messages[-1])
    assert (heard.outcome, heard.is_alarm) == ("unclaimed", True)
    assert await till.balance() == FULL and await till.wrong() == []


async def test_a_signed_message_alone_brings_no_refund_back(till: Till) -> None:
    made, trade = await till.credited()
    await till.refund(made, 300)
    [back] = trade.refunds
    back.bounced = True
    forged = till.demo.tell(trade, "refunded", back)
    back.bounced = False
    assert (await till.hear("card", forged)).outcome == "already"
    assert await till.balance() == FULL - to_nano(300, "CNY")
    # nor does one of a refund of which its partner knows nothing: it may say that again
    back.bounced = True
    unknown = till.demo.tell(trade, "refunded", back)
    trade.refunds.clear()
    for _ in range(2):
        with pytest.raises(RelayError) as caught:
            await till.hear("card", unknown)
        assert caught.value.code == "partner_failed"
    assert await till.balance() == FULL - to_nano(300, "CNY")


async def test_a_refund_s_message_that_its_end_overtook(till: Till) -> None:
    made, trade = await till.credited()
    done = till.demo.refund(trade, amount=300)
    assert done is not None
    late = [till.demo.tell(trade, "refunded", done) for _ in range(2)]
    await till.hear("card", till.demo.delivery.messages[-3])
    done.bounced = True
    assert (await till.hear("card", till.demo.tell(trade, "refunded", done))).outcome == "bounced"
    assert [(await till.hear("card", each)).outcome for each in late] == ["already"] * 2
    assert await till.balance() == FULL and await till.wrong() == []
    assert (await till.look(made)).state == "credited"


async def test_a_refund_that_failed_is_told_with_its_own_amount(till: Till) -> None:
    made, _ = await till.credited()
    asked = await order.begin_refund(till.db, SHELL, RefundWish(made.id, 45, "as asked"),
                                     till.now_ms)
    await webhook.apply(till.db, till.payments, PartnerEvent(
        "card", "", "refund_failed", made.id, reference=asked.id), till.now_ms)
    [told] = [each for each in await mail.listing(till.db) if each.kind == "refund_failed"]
    shown = await mail.show(till.db, SHELL, told.id, till.now_ms)
    assert shown.letter.fields["amount"] == "0.45 CNY"
    assert await till.balance() == FULL


@each_partner
async def test_refunds_of_two_orders_with_the_same_name(till: Till, partner: str) -> None:
    """Alipay wants the name of a refund to be the only one of its trade, not of all."""
    for back in (45, 45, 300):
        made, trade = await till.credited(partner)
        trade.refunds.append(Returned("1", "", back, till.now_ms))
        for _ in range(2):
            heard = await till.hear(partner, till.demo.tell(trade, "refunded", trade.refunds[0]))
            assert heard.outcome in ("returned", "already")
        assert (await till.look(made)).refunded_minor == back
    assert await till.balance() == 3 * FULL - to_nano(390, "CNY") and await till.wrong() == []


@each_partner
async def test_the_refund_s_message_comes_before_the_payment_s(
    till: Till, partner: str
) -> None:
    made = await till.order(partner)
    trade, first = await till.paid(made)
    till.demo.refund(trade, amount=45)
    second = till.demo.delivery.messages[-1]
    assert (await till.hear(partner, second)).outcome == "returned"
    assert await till.balance() == to_nano(AMOUNT - 45, "CNY")
    assert (await till.hear(partner, first)).outcome == "already"
    assert await till.balance() == to_nano(AMOUNT - 45, "CNY") and await till.wrong() == []


@pytest.mark.parametrize("won, left", [(True, FULL), (False, 0)])
async def test_disputes_in_any_order(till: Till, won: bool, left: int) -> None:
    made = await till.order()
    trade, paid = await till.paid(made)
    till.demo.dispute(trade)
    till.demo.close(trade, won=won)
    messages = [paid, *till.demo.delivery.messages[-2:]]
    random.Random(won).shuffle(messages)
    for message in (*reversed(messages), *messages):
        await till.hear("card", message)
    assert (await till.look(made)).state == ("dispute_won" if won else "dispute_lost")
    assert await till.balance() == left and await till.balance("disputes") == 0
    # each once, and the start only where it was heard of before the end
    told = [each.kind for each in await mail.listing(till.db)]
    assert sorted(set(told) - {"payment_disputed"}) == [
        "dispute_won" if won else "dispute_lost", "receipt"] and len(set(told)) == len(told)
    assert await till.wrong() == []


async def test_who_paid_is_told_that_the_payment_is_disputed(till: Till) -> None:
    made, trade = await till.credited()
    till.demo.dispute(trade)
    await till.hear("card", till.demo.delivery.messages[-1])
    [told] = [each for each in await mail.listing(till.db) if each.kind == "payment_disputed"]
    shown = await mail.show(till.db, SHELL, told.id, till.now_ms)
    assert (shown.letter.fields["order"], shown.letter.fields["amount"]) == (
        made.id, "123.45 CNY")
    till.demo.close(trade, won=False)
    await till.hear("card", till.demo.delivery.messages[-1])
    assert [(act.action, act.target, act.details["order"], act.details["outcome"])
            for act in await audited(till.db, "dispute.")] == [
        ("dispute.open", till.holder, made.id, "disputed"),
        ("dispute.close", till.holder, made.id, "lost")]


async def all_that_can_be_said(till: Till) -> tuple[Trade, list[Message]]:
    made = await till.order()
    trade, _ = await till.paid(made)
    till.demo.tell(trade, "paid")
    till.demo.refund(trade, amount=45)
    till.demo.dispute(trade)
    till.demo.close(trade, won=False)
    trade.told = trade.told._replace(amount=1)
    till.demo.tell(trade, "paid")
    trade.told = trade.told._replace(amount=AMOUNT)
    return trade, till.demo.delivery.messages


@pytest.mark.parametrize("seed", range(12))
async def test_any_order_and_any_number_of_messages(till: Till, seed: int) -> None:
    dice = random.Random(seed)
    _, messages = await all_that_can_be_said(till)
    said = [message for message in messages for _ in range(dice.randrange(1, 4))]
    dice.shuffle(said)
    for message in said:
        await till.hear("card", message)
    async with till.db.reading() as transaction:
        rows = await transaction.rows("SELECT kind, COUNT(*) FROM transfers GROUP BY kind")
    counts = dict(rows)
    assert counts["top_up"] == 1 and counts["dispute"] == 1 and counts["dispute_lost"] == 1
    assert counts.get("refund_by_partner", 0) <= 1
    assert await till.wrong() == []


async def test_nobody_is_told_anything_but_what_is_declared(till: Till) -> None:
    """And the audit log, the mail to the holder, and no name of the payer anywhere."""
    await till.credited("wechat")
    async with till.db.reading() as transaction:
        rows = await transaction.rows("SELECT action FROM audit_log ORDER BY seq")
        mails = await transaction.rows("SELECT kind FROM outbox")
    assert [row[0] for row in rows][-2:] == ["order.create", "order.credit"]
    assert mails == [("receipt",)]


async def test_messages_that_are_about_nothing_here(till: Till) -> None:
    body = orjson.dumps({"id": "evt_1", "object": "event", "type": "customer.created",
                         "data": {"object": {}}})
    message = Message("", body, lambda each: (till.demo._stripe.signed(each), each))
    heard = await till.hear("card", message)
    assert (heard.outcome, heard.is_alarm) == ("ignored", False)


async def test_the_money_of_who_can_be_read_no_more_is_in_the_books(till: Till) -> None:
    """As after a restore without the key: nobody is written to."""
    made = await till.order()
    trade, message = await till.paid(made)
    await till.db.keyring.destroy(till.holder)
    assert (await till.hear("card", message)).outcome == "credited"
    assert (await till.refund(made, 345)).state == "done"
    assert await till.balance() == to_nano(AMOUNT - 345, "CNY") and await till.wrong() == []
    assert [each.amount for each in trade.refunds] == [345]
    assert await mail.listing(till.db) == []
