"""Notices: banners on every page, a notice and its answers, and putting them up.

Law: everybody sees a notice; only holders answer; only the owner and legal put one up or down.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from aiohttp import web

from relayd.console.frame import Banner
from relayd.console.page import nothing, page, redirect, reply
from relayd.console.route import HOLDER, PUBLIC, Route, operators
from relayd.console.visit import Visit
from relayd.control import notice
from relayd.core.errors import RelayError
from relayd.core.notice import NOTICE_FIELDS, Answer, Notice, NoticeKind
from relayd.core.timestamp import parse_future, rfc3339

WRITERS: Final = operators("owner", "legal")
PUT_UP: Final[tuple[NoticeKind, ...]] = ("service", "transfer", "product", "marketing")
"""What is put up by hand; notices of documents come with a version."""
_EXAMPLE: Final = {"notice": "notice_01KDVBXH2Q7ZC4M9T8WJRS5XNY"}


class NoticeShown(msgspec.Struct, frozen=True):
    """A notice. `fields` are its texts, by name and language."""

    id: str
    kind: str
    fields: dict[str, str]
    starts_at: str
    ends_at: str


class NoticeAnswer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a holder says to a transfer."""

    answer: Answer


class NoticeForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A new notice; which texts it needs follows from its kind."""

    kind: NoticeKind = "service"
    subject_en: str = ""
    subject_zh: str = ""
    text_en: str = ""
    text_zh: str = ""
    recipient: str = ""
    contact: str = ""
    purpose_en: str = ""
    purpose_zh: str = ""
    ends: str = "30d"


async def banners(visit: Visit) -> Sequence[Banner]:
    """What stands above every page."""
    return [_banner(visit, each) for each in await notice.shown(visit.db, visit.now_ms)]


def _banner(visit: Visit, shown: Notice) -> Banner:
    language = visit.language
    if shown.kind == "service":
        return Banner("notice", shown.said("subject", language), f"/notices/{shown.id}",
                      visit.t("notices.read"))
    if shown.kind == "transfer":
        text = visit.t("notices.transfer_banner", recipient=shown.fields["recipient"],
                       ends=rfc3339(shown.ends_at_ms)[:10])
        return Banner("warning", text, f"/notices/{shown.id}", visit.t("notices.read"))
    name = shown.fields["document"]
    text = visit.t("notices.document_banner", document=visit.t(f"documents.name_{name}"),
                   effective=shown.fields["effective"])
    return Banner("notice", text, f"/legal/{name}/changes", visit.t("notices.changes"))


async def show(visit: Visit) -> web.Response:
    """One notice; to a holder with the ways to answer."""
    found = await notice.get(visit.db, visit.name("notice"))
    answered = None
    if visit.who is not None and visit.who.session.stage == "open":
        answered = await notice.answered(visit.db, found.id, visit.account)
    return page(visit, "legal/notice.html", notice=found, answered=answered,
                open=found.kind == "transfer" and found.open_at(visit.now_ms))


async def answer(visit: Visit) -> web.Response:
    """A holder's answer to a transfer."""
    found = visit.name("notice")
    await notice.answer(visit.db, visit.actor, found, visit.take(NoticeAnswer).answer,
                        visit.now_ms)
    return redirect(f"/notices/{found}")


async def show_all(visit: Visit) -> web.Response:
    """Every notice, for operators, with the form of a new one."""
    return await _listed(visit, NoticeForm())


async def _listed(
    visit: Visit, form: NoticeForm, error: RelayError | None = None,
) -> web.Response:
    return page(visit, "operate/notices.html", 200 if error is None else error.status,
                notices=await notice.listing(visit.db), form=form, error=error,
                fault=error and error.param,
                kinds=[(each, visit.t(f"notices.kind_{each}")) for each in PUT_UP])


async def _put_up(visit: Visit, form: NoticeForm) -> Notice:
    if form.kind not in PUT_UP:
        raise RelayError("invalid_value", param="kind")
    fields = {name: str(getattr(form, name)) for name in NOTICE_FIELDS[form.kind]}
    ends_at_ms = parse_future(form.ends, visit.now_ms, "ends")
    return await notice.put_up(visit.db, visit.actor, form.kind, fields,
                               (visit.now_ms, ends_at_ms), visit.now_ms)


async def put_up(visit: Visit) -> web.Response:
    """Puts up a notice, or shows the form again."""
    form = visit.take(NoticeForm)
    try:
        await _put_up(visit, form)
    except RelayError as error:
        return await _listed(visit, form, error)
    return redirect("/operate/notices")


async def take_down(visit: Visit) -> web.Response:
    """Shows a notice no longer."""
    await notice.take_down(visit.db, visit.actor, visit.name("notice"), visit.now_ms)
    return redirect("/operate/notices")


async def api_shown(visit: Visit) -> web.Response:
    """What is shown now."""
    return reply([_shown(each) for each in await notice.shown(visit.db, visit.now_ms)])


async def api_answer(visit: Visit) -> web.Response:
    """A holder's answer to a transfer."""
    await notice.answer(visit.db, visit.actor, visit.name("notice"),
                        visit.take(NoticeAnswer).answer, visit.now_ms)
    return nothing()


async def api_put_up(visit: Visit) -> web.Response:
    """Puts up a notice."""
    return reply(_shown(await _put_up(visit, visit.take(NoticeForm))), 201)


async def api_take_down(visit: Visit) -> web.Response:
    """Takes a notice down."""
    await notice.take_down(visit.db, visit.actor, visit.name("notice"), visit.now_ms)
    return nothing()


def _shown(found: Notice) -> NoticeShown:
    return NoticeShown(found.id, found.kind, found.fields, rfc3339(found.starts_at_ms),
                       rfc3339(found.ends_at_ms))


ROUTES: Final = (
    Route("GET", "/notices/{notice}", show, PUBLIC, "A notice", example=_EXAMPLE,
          errors=("notice_not_found",)),
    Route("POST", "/notices/{notice}", answer, HOLDER, "Answer to a transfer",
          takes=NoticeAnswer, closing=True, example=_EXAMPLE, errors=("notice_not_found",)),
    Route("GET", "/operate/notices", show_all, WRITERS, "Notices"),
    Route("POST", "/operate/notices", put_up, WRITERS, "Put up a notice", takes=NoticeForm),
    Route("POST", "/operate/notices/{notice}/end", take_down, WRITERS, "Take a notice down",
          example=_EXAMPLE, errors=("notice_not_found", "handover_state")),
    Route("GET", "/api/v1/notices", api_shown, PUBLIC, "Notices that are shown",
          gives=list[NoticeShown]),
    Route("POST", "/api/v1/notices", api_put_up, WRITERS, "Put up a notice", takes=NoticeForm,
          gives=NoticeShown, status=201, errors=("invalid_value", "invalid_time")),
    Route("PUT", "/api/v1/notices/{notice}/answer", api_answer, HOLDER, "Answer to a transfer",
          takes=NoticeAnswer, status=204, closing=True, example=_EXAMPLE,
          errors=("notice_not_found",)),
    Route("DELETE", "/api/v1/notices/{notice}", api_take_down, WRITERS, "Take a notice down",
          status=204, example=_EXAMPLE, errors=("notice_not_found", "handover_state")),
)
