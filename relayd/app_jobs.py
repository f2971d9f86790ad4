"""The work beside the calls: every job of the process and the console, built in one place.

Law: a job is here or it does not run; all of them start after the store is open and stop before
it is closed.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, NamedTuple, Protocol, cast

from relayd.console import pages
from relayd.console.document import cookie_words
from relayd.console.listener import ConsoleListener
from relayd.console.opening import Opening
from relayd.console.redirect import Redirect
from relayd.control import erasure
from relayd.control.abuse import Lookout
from relayd.control.calendar import Clockwork
from relayd.control.document_text import drafts
from relayd.control.invoice import seller_of
from relayd.control.issuer import ByHand, Issuer
from relayd.control.partner import Desk
from relayd.demo.issuer import DemoIssuer
from relayd.jobs.abuse import Abuse
from relayd.jobs.assessment import Assessments
from relayd.jobs.audit import Audit
from relayd.jobs.billing import Billing
from relayd.jobs.closing import Months
from relayd.jobs.document import Documents
from relayd.jobs.dormancy import Dormancy
from relayd.jobs.erasure import Erasures
from relayd.jobs.exposure import Exposures
from relayd.jobs.mail import Postman
from relayd.jobs.margin import Margins
from relayd.jobs.network import Network
from relayd.jobs.payment import PaymentJob
from relayd.jobs.retention import Retention
from relayd.ops.clock import unix_ms
from relayd.ops.config import Config
from relayd.ops.configfile_mail import console_url
from relayd.ops.disposable import is_disposable
from relayd.ops.logging import Logger
from relayd.ops.metrics_gauges import Gauges
from relayd.relay.fleet import fleet
from relayd.relay.plane import Plane
from relayd.store.db import Database
from relayd.store.signing import open_signer


class Job(Protocol):
    """What goes on beside the calls, until the store is about to close."""

    def run(self) -> Coroutine[Any, Any, None]:
        """Goes on until `stop`."""

    async def stop(self) -> object:
        """Ends what is under way."""


def jobs(
    db: Database, plane: Plane, config: Callable[[], Config], log: Logger,
) -> dict[str, Job]:
    """Everything but what the calls themselves need. `config` gives the present one."""
    signer = open_signer(db.directory)
    network = Network(db, plane.network, log=log)
    believed = Clockwork(db, log=log).believed

    def url() -> str:
        return console_url(config().console, config().console_listen)

    def link() -> erasure.Link:
        return erasure.linked(url())

    def certificate() -> str | None:
        tls = config().server.tls
        return None if tls is None else tls.certificate

    return {
        "assessments": Assessments(db, signer, certificate, log=log),
        "retention": Retention(
            db, lambda: config().retention.terms(), believed=believed, log=log),
        "audit": Audit(db, signer,
                       lambda now_ms: config().retention.terms().before_ms("audit", now_ms),
                       believed=believed, log=log),
        "network": network,
        "exposures": Exposures(db, plane.clear_keys, url, log=log),
        "abuse": Abuse(db, lambda now_ms: Lookout(
            config().abuse, network.prefixes.counts(now_ms), is_disposable, url()), log=log),
        "billing": Billing(
            db, lambda: config().plans, lambda path: url() + path, believed=believed, log=log),
        "months": Months(
            db, lambda: (config().invoices.close_hours, seller_of(config())),
            believed=believed, log=log),
        "margins": Margins(db, lambda: config().prices, log=log),
        "mail": Postman(db, config, believed=believed, log=log),
        "documents": Documents(db, lambda: drafts(config(), cookie_words()), made_of=config,
                               log=log),
        "dormancy": Dormancy(
            db, url, lambda who, now_ms: erasure.begin_dormant(db, who, now_ms, link()),
            believed=believed, log=log),
        "payments": PaymentJob(db, Desk(lambda: (config().payments, url())), log=log),
        "erasures": Erasures(
            db, signer, lambda: config().retention.terms(), link, believed=believed, log=log),
        **_redirect(plane, config, log),
    }


def _redirect(
    plane: Plane, config: Callable[[], Config], log: Logger,
) -> dict[str, Opening[Redirect]]:
    """The plain port, where the configuration has one."""
    if not config().console_redirect:
        return {}

    def exposed(fields: Mapping[bytes, bytes], query: str) -> bool:
        return plane.clear_keys.look(
            fields, query, plane.view.current, plane.pepper, unix_ms())

    listener = Redirect(
        config().console_redirect, lambda: config().console.url, pages.ROUTES, exposed)
    return {"redirect": Opening(listener, log=log, part="redirect")}


async def publish(jobs: Mapping[str, Job]) -> None:
    """What people agree to when they sign up must be there before they can."""
    await cast(Documents, jobs["documents"]).look()


def measure(gauges: Gauges, jobs: Mapping[str, Job]) -> None:
    """Where the metrics read what the jobs have done."""
    retention = cast(Retention, jobs["retention"])
    erasures = cast(Erasures, jobs["erasures"])
    gauges.swept_rows = retention.swept_rows
    gauges.swept_at_seconds = retention.swept_at_seconds
    gauges.tickets_overdue = lambda: erasures.overdue
    assessments = cast(Assessments, jobs["assessments"])
    gauges.assessment_at_seconds = assessments.at_seconds
    gauges.assessment_findings = assessments.findings
    postman = cast(Postman, jobs["mail"])
    gauges.mails = lambda: postman.outcomes
    gauges.mails_waiting = lambda: postman.waiting
    payments = cast(PaymentJob, jobs["payments"])
    gauges.payment_alarms = lambda: payments.alarms
    gauges.payment_failures = lambda: payments.failures
    months = cast(Months, jobs["months"])
    gauges.months_overdue = lambda: months.overdue
    gauges.closing_failures = lambda: months.failures


def issuer(config: Config) -> Issuer:
    """Who issues fapiao, as the configuration has it."""
    return DemoIssuer() if config.invoices.fapiao == "demo" else ByHand()


class Ties(NamedTuple):
    """What the console has of the relay: its metrics, its address, and `changed`, which makes it
    look at its policy soon."""

    gauges: Gauges
    bound: Callable[[], tuple[str, int]]
    changed: Callable[[], None]


def console(
    db: Database, plane: Plane, config: Callable[[], Config], log: Logger, ties: Ties,
) -> Opening[ConsoleListener]:
    """The console, which opens as soon as its address is free."""
    services = pages.services(db, config, log, lambda: fleet(plane))
    services.gauges, services.bound, services.changed = ties
    services.issuer = lambda: issuer(config())
    ties.gauges.sign_in_refusals = services.door.refusals
    # what an alert waits for is there at 0, or its first ones would be no increase
    ties.gauges.payment_messages = lambda: {"webhook_forged": 0, **services.messages}
    return Opening(pages.console(config().console_listen, services), log=log,
                   close=services.door.hashing.close)
