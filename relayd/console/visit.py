"""A visit: one request as its handler sees it. Who is there, what they sent, what they may do.

Law: a handler takes its input through `take` and `ask` alone, in the shape that its route
declares; nothing of the input is in an error or a log.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeVar, cast

from aiohttp import web

from relayd.console import texts
from relayd.console.frame import Banner, Frame
from relayd.console.route import Route
from relayd.console.services import Services
from relayd.core import session as core_session
from relayd.control.door import Caller
from relayd.control.session import Signed
from relayd.core.account import Language
from relayd.core.actor import Actor
from relayd.core.device import device
from relayd.core.errors import RelayError
from relayd.store.db import Database
from relayd.store.secret import derived

Theme = Literal["auto", "light", "dark"]
THEMES: Final[tuple[Theme, ...]] = ("auto", "light", "dark")
CSRF_LABEL: Final = "console form token"
CSRF_FIELD: Final = "csrf"
T = TypeVar("T")


@dataclass(slots=True)
class Visit:
    """One request. `who` is set wherever the route's access is not public, and may be there too.

    `secure`: the browser reaches this listener over TLS. `address`: the client's, behind trusted
    proxies the one that they report.
    """

    request: web.Request
    route: Route
    services: Services
    language: Language
    theme: Theme
    secure: bool
    address: str
    now_ms: int
    who: Signed | None = None
    bearer: bool = False
    """The session's token came in a header: no browser sends that by itself."""
    banners: Sequence[Banner] = ()
    taken: object = field(default=None, repr=False)
    asked: object = field(default=None, repr=False)

    @property
    def frame(self) -> Frame:
        """What is around every page."""
        return self.services.frame

    @property
    def db(self) -> Database:
        """The store."""
        return self.services.db

    @property
    def me(self) -> Signed:
        """Who is signed in; only for routes that are not public."""
        assert self.who is not None
        return self.who

    @property
    def account(self) -> str:
        """The id of the account that is signed in."""
        return self.me.account.id

    @property
    def actor(self) -> Actor:
        """Who acts."""
        return self.me.actor(self.caller)

    @property
    def caller(self) -> Caller:
        """Where the request comes from, for sign-ins and the audit log."""
        agent = self.request.headers.get("User-Agent", "")
        return Caller(self.address, device(agent), "api" if self.route.is_api else "console")

    @property
    def is_proved(self) -> bool:
        """Whether the holder has said lately who they are."""
        return self.who is not None and core_session.proved(self.who.session, self.now_ms)

    def take(self, kind: type[T]) -> T:
        """The form or JSON body, as the route's `takes` declares it."""
        assert self.route.takes is kind
        return cast(T, self.taken)

    def ask(self, kind: type[T]) -> T:
        """The query, as the route's `asks` declares it."""
        assert self.route.asks is kind
        return cast(T, self.asked)

    def name(self, part: str) -> str:
        """A `{part}` of the path."""
        return self.request.match_info[part]

    @property
    def again(self) -> str:
        """This page with all that it was asked with, such as a mailed token, but for a language;
        the first page where it came by a form."""
        if self.request.method != "GET":
            return "/"
        return str(self.request.rel_url.without_query_params("lang"))

    def t(self, name: str, /, **values: object) -> str:
        """A text in the visitor's language."""
        return texts.text(self.language, name, **values)

    def said(self, error: RelayError) -> str:
        """An error in the visitor's language, where it is translated; else in English."""
        name = f"errors.{error.code}"
        return self.t(name) if name in texts.texts() else error.kind.message

    @property
    def csrf(self) -> str:
        """The token that every form of this session carries; empty for who is not signed in."""
        if self.who is None:
            return ""
        key = derived(self.db.secret, CSRF_LABEL)
        return hmac.digest(key, self.who.session.id.encode("ascii"), "sha256").hex()[:32]

    def is_own_form(self, token: str) -> bool:
        """Whether a form's token is this session's."""
        return hmac.compare_digest(token.encode("utf-8", "replace"), self.csrf.encode("ascii"))
