"""What is answered where something is refused: a page for people, JSON for programs.

Law: errors come from the closed table; whoever is not signed in is led to the page where they can
be, and back. What somebody wrote into a form is not lost by it: the answer has it, and nothing
else does. An exception that nobody expected is told by its type alone.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from aiohttp import web

from relayd.console import gate
from relayd.console.page import page, redirect, reply
from relayd.console.route import API_PREFIX
from relayd.console.visit import Visit
from relayd.core.errors import RelayError

SIGN_IN: Final = "/sign-in"
PROOF: Final = "/prove"
FACTORS: Final = "/settings/factors"
AGREE: Final = "/agree"
STALE: Final = "form_stale"
_LEADS: Final = {"session_ended": SIGN_IN, "proof_needed": PROOF, "factor_needed": FACTORS,
                 "consent_missing": AGREE}
"""Where somebody is led who lacks something that they can give."""


async def kept(made: Visit, error: RelayError) -> web.Response | None:
    """The form again with all that was written into it, to be sent once its sender is let in by
    another page; None where nothing was written, or that would not help."""
    lead = _LEADS.get(error.code, "")
    if made.request.path == lead or not (lead or error.code == STALE):
        return None
    fields = await gate.typed(made)
    return page(made, "kept.html", error.status, fields=fields, lead=lead,
                message=made.said(error)) if fields else None


def refused(request: web.Request, made: Visit | None, error: RelayError) -> web.Response:
    """The answer to a request that ends in this error."""
    if request.path.startswith(API_PREFIX):
        return api_error(error)
    lead = _LEADS.get(error.code)
    if lead and request.path != lead:
        back = request.path_qs if request.method == "GET" else _referring(request)
        return redirect(f"{lead}?next={quote(back, safe='', errors='replace')}")
    return _page(made, error) if made else bare(error)


def _referring(request: web.Request) -> str:
    """The page of ours that a form was on."""
    _, _, after = request.headers.get("Referer", "").partition("://")
    host, slash, path = after.partition("/")
    return slash + path if host == request.host and slash else "/"


def api_error(error: RelayError) -> web.Response:
    """`{"error": {"code", "message", "param"}}`."""
    response = reply({"error": {"code": error.code, "message": error.kind.message,
                                "param": error.param}}, error.status)
    retry_later(response, error)
    return response


def retry_later(response: web.Response, error: RelayError) -> None:
    """Says when to try again, where somebody knows (RFC 9110 section 10.2.3)."""
    if error.retry_after_ms is not None:
        response.headers["Retry-After"] = str(error.retry_after_seconds)


def _page(made: Visit, error: RelayError) -> web.Response:
    # what is not there has no field that could be mended
    param = None if error.status == 404 else error.param
    response = page(made, "error.html", error.status, code=error.code, param=param,
                    message=made.said(error))
    retry_later(response, error)
    return response


def bare(error: RelayError) -> web.Response:
    """Text, where not even the visit could be made."""
    response = web.Response(text=f"{error.kind.message}\n", status=error.status)
    retry_later(response, error)
    return response
