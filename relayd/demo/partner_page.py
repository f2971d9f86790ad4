"""The demo partners' pages: where somebody pays, and the partner's own desk. No card is asked for.

Law: plain pages without scripts, in English and Chinese at once; whatever comes from outside is
escaped.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Final

from relayd.core.currency import minor_text
from relayd.demo.partner_trade import Trade

HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'"
                               " http://127.0.0.1:* http://localhost:*; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer", "Cache-Control": "no-store"}
NAMES: Final = {"stripe": "Demo Card", "alipay": "Demo Alipay · 演示支付宝",
                "wechat": "Demo WeChat Pay · 演示微信支付"}
_STATES: Final = {
    "open": "waits for the payment · 待付款", "paid": "paid · 已付款", "failed": "failed · 失败",
    "expired": "expired · 已过期"}
_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:44rem;margin:3rem auto;padding:0 1rem}"
    "button{font:inherit;padding:.5rem 1rem;margin:.25rem .5rem .25rem 0}"
    "table{border-collapse:collapse;width:100%}td,th{padding:.4rem;border-bottom:1px solid #999;"
    "text-align:left}.amount{font-size:2rem}")
_DESK_STEPS: Final = (
    ("refund", "Return all · 全额退款"), ("dispute", "Dispute · 争议"),
    ("win", "Merchant wins · 商户胜诉"), ("lose", "Merchant loses · 商户败诉"))


def checkout(trade: Trade, origin: str) -> str:
    """The page of one trade."""
    told = trade.told
    parts = [
        f"<h1>{NAMES[trade.kind]}</h1>",
        "<p>This is a demonstration on this machine: no money moves, and no card is asked for."
        " · 本机演示：不发生真实付款，也不需要银行卡。</p>",
        f"<p class=amount>{minor_text(told.amount, told.currency)} {escape(told.currency)}</p>",
        f"<p>Order · 订单 <code>{escape(told.order)}</code>: {_STATES[trade.state]}</p>"]
    if trade.state == "open":
        parts.append(_form(f"{origin}/page/{trade.session}", (
            ("pay", "Pay · 付款"), ("decline", "Decline · 拒绝"))))
    if told.back:
        parts.append(f'<p><a href="{escape(told.back)}">Back to the shop · 返回商户</a></p>')
    return _page(NAMES[trade.kind], "".join(parts))


def desk(trades: Iterable[Trade], origin: str) -> str:
    """All trades, and what a partner does by itself."""
    rows = [
        f"<tr><td>{NAMES[each.kind]}</td><td><code>{escape(each.told.order)}</code></td>"
        f"<td>{minor_text(each.told.amount, each.told.currency)} {escape(each.told.currency)}"
        f"</td><td>{_STATES[each.state]}</td><td>{_steps(each, origin)}</td></tr>"
        for each in trades]
    return _page("Demo partners", (
        "<h1>The partners' desk · 支付机构工作台</h1><table><thead><tr><th>Partner · 机构</th>"
        "<th>Order · 订单</th><th>Amount · 金额</th><th>State · 状态</th><th></th></tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table>"))


def _steps(trade: Trade, origin: str) -> str:
    if trade.state != "paid":
        return ""
    open_dispute = trade.dispute is not None and trade.dispute.state == "needs_response"
    fits = {"refund": trade.left > 0,
            "dispute": trade.kind == "stripe" and trade.dispute is None,
            "win": open_dispute, "lose": open_dispute}
    return _form(f"{origin}/desk/{trade.session}",
                 [step for step in _DESK_STEPS if fits[step[0]]])


def _form(action: str, steps: Iterable[tuple[str, str]]) -> str:
    buttons = "".join(f'<button name="step" value="{name}">{label}</button>'
                      for name, label in steps)
    return f'<form method="post" action="{escape(action)}">{buttons}</form>'


def _page(title: str, body: str) -> str:
    return (f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
            f'<meta name="viewport" content="width=device-width"><title>{title}</title>'
            f"<style>{_STYLE}</style></head><body><main>{body}</main></body></html>")
