"""`[operator]`: who runs the relay, where it is hosted, and who helps to run it.

Law: declared facts, kept as written. Where strangers may sign up they must be there (C1).
"""

from __future__ import annotations

import re
from datetime import date
from typing import Final

from relayd.core.account import check_email
from relayd.core.errors import RelayError
from relayd.core.operator import MAIL_FIELDS, Hosting, Operator, Processor
from relayd.core.uscc import is_uscc, normalised
from relayd.ops.config import Config
from relayd.ops.configfile_address import is_near
from relayd.ops.configfile_section import Section

CONTACTS: Final = ("contact", "privacy", "security", "billing")
TEXTS: Final = ("service", "name", "name_zh", "address", "address_zh", "icp", "law", "law_zh",
                "court", "court_zh")
_FIELD: Final = re.compile(r"[a-z][a-z0-9_ ]{0,63}")
_DEFAULT: Final = Operator()


def read_operator(section: Section) -> Operator:
    """The whole table."""
    texts = {name: section.text(name, getattr(_DEFAULT, name)) or "" for name in TEXTS}
    contacts = {name: _contact(section, name) for name in CONTACTS}
    operator = Operator(
        **texts, **contacts, uscc=_uscc(section), hosting=_hosting(section.table("hosting")),
        processors=tuple(_processor(each) for each in section.tables("processors")))
    section.done({"company": "name", "email": "contact", "mail": "contact"})
    return operator


def judge_operator(root: Section, config: Config) -> None:
    """Whoever offers accounts to strangers says who they are."""
    _judge_mail(root, config)
    if config.console.registration == "open" and not (config.mail.host and config.console.url):
        root.warning("console", "registration is open, and [mail] host or url is missing",
                     "Without both nobody gets the link that verifies an address")
    lacking = config.operator.lacking()
    if not lacking:
        return
    says = f"lacks {', '.join(lacking)}"
    remedy = "Every page, mail and document names who runs the service"
    if config.console.registration == "open":
        root.fault("operator", f"{says}, and [console] registration is open", remedy)
    elif config.console.url or config.mail.host:
        root.warning("operator", says, remedy)


def _judge_mail(root: Section, config: Config) -> None:
    """Somebody else's mail server is a processor, and may be sent what the register says (S2)."""
    mail = config.mail
    where = (*root.path, "mail", "processor")
    row = config.operator.processor(mail.processor) if mail.processor else None
    if mail.processor and row is None:
        root.findings.fault(where, "is not in [[operator.processors]]", "Name one of them")
    elif row is not None and not set(MAIL_FIELDS) <= set(row.fields):
        root.findings.fault(where, "may not be sent mail, as the register has it",
                            f"It needs the fields {' and '.join(MAIL_FIELDS)}")
    elif mail.host and row is None and not is_near(mail.host):
        root.findings.warning(where, "is missing: the mail server is somebody else's",
                              "Add it to [[operator.processors]] and name it here")


def _contact(section: Section, name: str) -> str:
    text = section.text(name)
    if text is None:
        return ""
    try:
        return check_email(text)
    except RelayError:
        section.fault(name, "is not an e-mail address")
        return ""


def _uscc(section: Section) -> str:
    text = normalised(section.text("uscc") or "")
    if text and not is_uscc(text):
        section.fault("uscc", "is not a unified social credit code: its check character is wrong")
        return ""
    return text


def _day(section: Section) -> str:
    """A date, as TOML's own or as text."""
    value = section.raw("since")
    if value is None:
        return ""
    if type(value) is date:
        return value.isoformat()
    try:
        return date.fromisoformat(value if isinstance(value, str) else "").isoformat()
    except ValueError:
        section.fault("since", "is not a date", "Write it as 2026-01-31")
        return ""


def _hosting(section: Section) -> Hosting:
    hosting = Hosting(
        section.text("provider", "") or "", section.text("region", "") or "",
        section.texts("certificates", (), _printable), _day(section))
    section.done()
    return hosting


def _processor(section: Section) -> Processor:
    found = {name: section.text(name) or "" for name in ("name", "purpose", "region")}
    processor = Processor(fields=section.texts("fields", (), _field), since=_day(section), **found)
    for name in ("name", "purpose", "region", "fields", "since"):
        if not section.has(name):
            section.fault(name, "is missing", "The register says it of everybody")
    section.done()
    return processor


def _printable(text: str) -> str:
    return "" if text and text.isprintable() else "is empty, or cannot be shown"


def _field(text: str) -> str:
    return "" if _FIELD.fullmatch(text) else "is not the name of a field"
