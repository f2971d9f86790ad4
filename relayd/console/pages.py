"""All routes of the console, area by area, and what is around its pages.

Law: an area is a module with `ROUTES`; it is served when it is listed here, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Final

from relayd.console import (
    alert, appeal, call, connect, consent, contact, document, email_change, enterprise, erasure,
    fapiao, front, grant, invoice, key, limit, mail, model, notice, openapi, operate_account,
    operate_audit, operate_credit, operate_fapiao, operate_fleet, operate_invoice, operate_lawful,
    operate_margin, operate_network, operate_order, operate_plan, operate_price, operate_retention,
    operate_system, operate_ticket, order, overview, passkey, password, preference, privacy,
    profile, registration, role, series, session, sign_in, standing, subscription, ticket, totp,
    transparency, verification, wallet, webhook, well_known,
)
from relayd.console.frame import Frame, Item
from relayd.console.listener import ConsoleListener
from relayd.console.route import HOLDER, Route
from relayd.console.services import Services
from relayd.control.door import Door
from relayd.control.partner import Desk
from relayd.core.fleet import Fleet
from relayd.ops.config import Config
from relayd.ops.configfile_mail import console_url
from relayd.ops.disposable import is_disposable
from relayd.ops.hashing import Hashing
from relayd.ops.logging import Logger
from relayd.store.db import Database

ROUTES: Final[tuple[Route, ...]] = tuple(chain(
    front.ROUTES,
    preference.ROUTES,
    registration.ROUTES,
    sign_in.ROUTES,
    password.ROUTES,
    session.ROUTES,
    profile.ROUTES,
    email_change.ROUTES,
    totp.ROUTES,
    verification.ROUTES,
    passkey.ROUTES,
    appeal.ROUTES,
    role.ROUTES,
    overview.ROUTES,
    key.ROUTES,
    series.ROUTES,
    call.ROUTES,
    model.ROUTES,
    connect.ROUTES,
    operate_account.ROUTES,
    operate_fleet.ROUTES,
    operate_price.ROUTES,
    operate_audit.ROUTES,
    operate_network.ROUTES,
    operate_system.ROUTES,
    order.ROUTES,
    wallet.ROUTES,
    grant.ROUTES,
    alert.ROUTES,
    limit.ROUTES,
    subscription.ROUTES,
    operate_order.ROUTES,
    operate_credit.ROUTES,
    operate_plan.ROUTES,
    operate_margin.ROUTES,
    invoice.ROUTES,
    enterprise.ROUTES,
    fapiao.ROUTES,
    operate_invoice.ROUTES,
    operate_fapiao.ROUTES,
    webhook.ROUTES,
    well_known.ROUTES,
    openapi.ROUTES,
    # before the documents, whose path takes any name
    transparency.ROUTES,
    document.ROUTES,
    consent.ROUTES,
    notice.ROUTES,
    mail.ROUTES,
    contact.ROUTES,
    privacy.ROUTES,
    erasure.ROUTES,
    ticket.ROUTES,
    operate_ticket.ROUTES,
    operate_lawful.ROUTES,
    operate_retention.ROUTES,
))
MENU: Final[tuple[Item, ...]] = (
    Item("/overview", "menu.overview", HOLDER, "menu.use"),
    Item("/keys", "menu.keys", HOLDER, "menu.use"),
    Item("/usage", "menu.series", HOLDER, "menu.use"),
    Item("/calls", "menu.calls", HOLDER, "menu.use"),
    Item("/models", "menu.models", HOLDER, "menu.use"),
    Item("/connect", "menu.connect", HOLDER, "menu.use", ("/start",)),
    Item("/balance", "money.balance", HOLDER, "menu.account", ("/orders", "/pay", "/credit")),
    Item("/plans", "plans.title", HOLDER, "menu.account"),
    Item("/invoices", "invoices.title", HOLDER, "menu.account",
         ("/statement", "/fapiao", "/enterprise")),
    Item("/settings", "menu.settings", HOLDER, "menu.account", ("/email",)),
    Item("/privacy", "privacy.title", HOLDER, "menu.account"),
    Item("/operate/accounts", "menu.accounts", operate_account.SEE, "menu.operate"),
    Item("/operate/providers", "menu.fleet", operate_fleet.RUN, "menu.operate"),
    Item("/operate/orders", "money.operate", operate_order.SEE, "menu.operate"),
    Item("/operate/credit", "credits.title", operate_credit.SEE, "menu.operate"),
    Item("/operate/plans", "plans.title", operate_plan.SEE, "menu.operate"),
    Item("/operate/margin", "margins.title", operate_margin.SEE, "menu.operate"),
    Item("/operate/invoices", "invoices.operate", operate_invoice.MONEY, "menu.operate"),
    Item("/operate/fapiao", "fapiao.operate", operate_fapiao.MONEY, "menu.operate"),
    Item("/operate/prices", "menu.prices", operate_price.MONEY, "menu.operate"),
    Item("/operate/audit", "menu.audit", operate_audit.LOGS, "menu.operate"),
    Item("/operate/network", "network.title", operate_network.SEE, "menu.operate"),
    Item("/operate/tickets", "tickets.queue", operate_ticket.SEE, "menu.operate"),
    Item("/operate/requests", "requests.title", operate_lawful.SEE, "menu.operate"),
    Item("/operate/retention", "retention.title", operate_retention.SEE, "menu.operate"),
    Item("/operate/system", "menu.system", operate_fleet.RUN, "menu.operate"),
    Item("/operate/notices", "menu.notices", notice.WRITERS, "menu.operate"),
    Item("/operate/mail", "menu.mail", mail.POSTMASTERS, "menu.operate"),
    Item("/operate/operators", "menu.operators", role.OWNERS, "menu.operate"),
)
"""The menu, in this order."""
FOOTER: Final[tuple[Item, ...]] = (
    Item("/legal/privacy", "documents.name_privacy"),
    Item("/legal/terms", "documents.name_terms"),
    Item("/legal/cookies", "documents.name_cookies"),
    Item("/legal", "documents.title"),
    Item("/legal/transparency", "transparency.title"),
    Item("/contact", "contact.title"),
)
FRAME: Final = Frame(
    MENU, FOOTER, banners=standing.banners, identity=document.identity, admit=consent.admit,
    headers=document.headers)


def services(
    db: Database, config: Callable[[], Config], logger: Logger, relay: Callable[[], Fleet],
) -> Services:
    """What the handlers work with. `config` gives the present configuration."""
    def origin() -> str:
        return console_url(config().console, config().console_listen)

    def unwelcome(email: str) -> bool:
        return config().abuse.disposable_mail == "block" and is_disposable(email)

    door = Door(db, Hashing(), origin, unwelcome=unwelcome)
    return Services(db=db, door=door, config=config, logger=logger, relay=relay, frame=FRAME,
                    routes=ROUTES,
                    payments=Desk(lambda: (config().payments, origin())))


def console(listen: str, services: Services) -> ConsoleListener:
    """The listener of all that is listed here."""
    return ConsoleListener(listen, services, ROUTES)
