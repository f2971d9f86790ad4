"""The demo's issuer: the whole way of a fapiao, with files that are verified like any other."""

from __future__ import annotations

from relayd.control import fapiao, fapiao_file
from relayd.core.actor import SHELL
from relayd.demo.issuer import PREFIX, DemoIssuer, number_of
from tests.control.test_fapiao import SELLER, applied
from tests.fakes.till import Till, till

__all__ = ["till"]


async def test_issued_at_once_and_taken_back(till: Till) -> None:
    order, _ = await till.credited("alipay", 1234)
    made = await applied(till, order.id)
    await fapiao.take(till.db, SHELL, made.id, till.now_ms)
    made = await fapiao_file.send(till.db, SHELL, DemoIssuer(), made.id, SELLER, till.now_ms)
    assert (made.state, made.number) == ("issued", number_of(made))
    assert made.number and made.number.startswith(PREFIX) and len(made.number) == 20
    red = await fapiao.reverse(till.db, SHELL, made.id, 1234, "01", till.now_ms)
    await fapiao.confirm(till.db, SHELL, red.id, "1" * 20, till.now_ms)
    red = await fapiao_file.send(till.db, SHELL, DemoIssuer(), red.id, SELLER, till.now_ms)
    assert red.state == "red_issued" and red.number != made.number
    assert (await fapiao.own(till.db, till.holder, made.id)).state == "reversed"


async def test_asking_twice_gives_the_same_file(till: Till) -> None:
    order, _ = await till.credited("alipay", 1234)
    made = await applied(till, order.id)
    one, two = [await DemoIssuer().issue(made, SELLER.block(), None, till.now_ms)
                for _ in range(2)]
    assert one == two and "演示".encode() in one[0].content
