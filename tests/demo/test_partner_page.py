"""The partners' pages: whatever comes from outside is escaped, and no card is asked for."""

from __future__ import annotations

from relayd.demo.partner_page import checkout, desk
from relayd.demo.partner_trade import Book, Told

BAD = '"><script>alert(1)</script>'
TOLD = Told(BAD, "<b>", 1000, "http://x.test", BAD, 10)


def test_pages() -> None:
    book = Book(lambda: 1)
    trade = book.begin("stripe", TOLD._replace(currency="CNY", order=BAD))
    shown = checkout(trade, "http://p.test")
    assert "<script" not in shown and "10.00" in shown
    assert 'value="pay"' in shown and "<input" not in shown
    assert "<script" not in desk([trade], "http://p.test")
    book.pay(trade)
    assert 'value="pay"' not in checkout(trade, "http://p.test")
    assert 'value="refund"' in desk([trade], "") and 'value="win"' not in desk([trade], "")
    book.dispute(trade)
    assert 'value="win"' in desk([trade], "") and 'value="dispute"' not in desk([trade], "")
