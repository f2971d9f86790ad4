"""A provider's error answers: whether they may pass, and which row of the table they are.

Law: an error passes byte for byte unless it names the operator; then nothing of its text passes
and the relay's own words stand for it. Its code comes from the status and from machine-readable
members, never from text but for one sentence. What a model says is no error and is never judged
here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from relayd.core.provider import Api
from relayd.wire.mended import mended

SECRET_BYTES_MIN: Final = 4
"""A shorter credential cannot be told from ordinary text."""

PUBLIC_HOSTS: Final = frozenset({
    b"aiplatform.googleapis.com", b"api.anthropic.com", b"api.cohere.com", b"api.cohere.ai",
    b"api.deepinfra.com", b"api.deepseek.com", b"api.fireworks.ai", b"api.groq.com",
    b"api.minimax.io", b"api.mistral.ai", b"api.moonshot.ai", b"api.moonshot.cn",
    b"api.openai.com", b"api.perplexity.ai", b"api.together.xyz", b"api.x.ai", b"api.z.ai",
    b"dashscope.aliyuncs.com", b"dashscope-intl.aliyuncs.com",
    b"generativelanguage.googleapis.com", b"open.bigmodel.cn", b"openrouter.ai",
})
"""Hosts that everyone uses: their names tell nothing of the operator."""
_DELAY: Final = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?s")
_WORD: Final = re.compile(rb"[a-z]{1,12}")

_UUID: Final = rb"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"
_NAMES: Final = tuple(
    # a reason; what must occur (in lower case) before its pattern is tried; the pattern. Every
    # repetition is bounded, so that no body takes more than linear time
    (reason, triggers.encode().split(), re.compile(pattern))
    for reason, triggers, pattern in (
        # organisations, projects, workspaces, users as providers write them
        ("organization", "org- org_",
         rb"\borg[-_](?:(?=[A-Za-z]{0,32}[0-9A-Z])[A-Za-z0-9]{4}|[a-z0-9]{16})"),
        ("organization_named", "org",
         rb"(?i:\borgani[sz]ation(?:[ _-]?(?:id|name))?[\"']?\s{0,4}[:=]?\s{0,4}[\"'`][a-z0-9]"
         rb"|\borg(?:ani[sz]ation)?[ _]?(?:id)?\s{0,4}[:=]\s{0,4}[a-z0-9])"),
        ("project", "proj_", rb"\bproj_[A-Za-z0-9]{4}"),
        ("project_number", "project",
         rb"(?i:\bproject(?:s|[ _-]?(?:number|id))?)[\"']?\s{0,4}[/:= ]\s{0,4}[\"'#`]?\d{5}"),
        ("project_path", "projects/", rb"\bprojects/[a-z][a-z0-9-]{4,28}[a-z0-9]/"),
        ("workspace", "wrkspc_", rb"\bwrkspc_[A-Za-z0-9]{4}"),
        ("user", "user- user_",
         rb"\buser-[A-Za-z0-9]{20}|\"user_id\"\s{0,4}:\s{0,4}\"user_[A-Za-z0-9]{4}"),
        ("account", "account tenant subscription workspace customer team organi group acct_",
         rb"(?i:\b(?:account|tenant|subscription|workspace|customer|team|organi[sz]ation|group)"
         rb"(?:[ _-]?(?:id|number))?)[\"'\s:=/(#`]{1,6}(?:" + _UUID
         + rb"|\d{6}|[0-9a-f]{24}|ws-[a-z0-9]{6})|\bacct_[A-Za-z0-9]{6}"
         rb"|\baccount\s{1,4}['`](?=[a-z-]{0,32}[A-Z0-9_])[A-Za-z0-9_-]{6}"
         rb"|\baccounts/(?!fireworks/)[a-z0-9-]{1,64}/"),
        ("account_named", "team= team_ key_alias= key_name= mail",
         rb"(?i:\b(?:team(?:_id|_alias)?|key_alias|key_name)=[\"'`]?[a-z0-9]"
         rb"|\be?-?mail(?: address)?[\s:=\"'`(<]{1,6}(?!support|sales|help|contact)"
         rb"[a-z0-9._%+-]{1,64}@[a-z0-9])"),
        ("cloud_path", "arn:aws /subscriptions/ /resourcegroups/",
         rb"\barn:aws[a-z-]{0,8}:[^\s\"]{0,64}?:\d{12}:|/subscriptions/" + _UUID
         + rb"|/resource[Gg]roups/[A-Za-z0-9_.-]"),
        # credentials, whole or masked
        ("key", "sk- aiza gsk_ xai- ak- akia ya29. hf_ pplx- nvapi- fw_ csk- bearer",
         rb"\bsk-[A-Za-z0-9_*.-]{4}|\bAIza[0-9A-Za-z_*-]{6}|\bgsk_[A-Za-z0-9*]{6}"
         rb"|\bxai-[A-Za-z0-9*]{16}|\bak-[A-Za-z0-9]{8}|\bAKIA[0-9A-Z]{12}"
         rb"|\bya29\.[A-Za-z0-9_-]{8}|\bhf_[A-Za-z0-9]{16}|\bpplx-[A-Za-z0-9]{16}"
         rb"|\bnvapi-[A-Za-z0-9_-]{16}|\bfw_[A-Za-z0-9]{16}|\bcsk-[a-z0-9]{16}"
         rb"|\bBearer\s{1,4}(?=[A-Za-z_-]{0,64}[0-9.~+/])[A-Za-z0-9._~+/-]{16}"),
        ("key_masked", "****", rb"[A-Za-z0-9_-]{2}\*{4}|\*{4}[A-Za-z0-9_-]{2}"),
        ("key_echoed", "key",
         rb"(?i:\b(?:api|access|secret)[ _-]?keys?(?:\s{1,4}\w{1,20}){0,2}\s{0,4}:\s{0,4}[\"'`]?"
         rb"(?=[*.]{0,64}[a-z0-9])(?=[a-z0-9_*.-]{0,64}[0-9*_-])[a-z0-9_*.-]{6})"),
        # resources whose host names their owner
        ("host", ".azure",
         rb"(?i:[a-z0-9-]\.(?:openai\.azure\.com|cognitiveservices\.azure\.com"
         rb"|services\.ai\.azure\.com|azure-api\.net|inference\.ml\.azure\.com"
         rb"|models\.ai\.azure\.com|azurewebsites\.net)\b)"),
        # a proxy's page, and places inside the operator's or the provider's own network
        ("page", "<html <!doctype", rb"(?i:<(?:html|!doctype)\b)"),
        ("address", "10. 172. 192.168. ip",
         rb"\b(?:10(?:\.\d{1,3}){3}|192\.168(?:\.\d{1,3}){2}"
         rb"|172\.(?:1[6-9]|2\d|3[01])(?:\.\d{1,3}){2})\b|(?i:\byour ip\b"
         rb"|\bip(?: address)?[\s:=\"'`(]{1,6}\d{1,3}(?:\.\d{1,3}){3}\b)"),
        ("internal_host", ".internal .local .corp .lan .svc",
         rb"(?i:[a-z0-9-]\.(?:internal|local|corp|lan|svc)\b)"),
    )
)
REASONS: Final = frozenset({"secret", *(reason for reason, _, _ in _NAMES)})

_ESCAPED: Final = re.compile(rb"\\u00([2-7][0-9A-Fa-f])")
"""A letter in JSON's other way, as it stands in half a document or in one within another."""
_TOO_LONG: Final = re.compile(
    rb"prompt is too long|exceeds? the maximum number of tokens|maximum context length"
    rb"|exceed context limit")
"""Says that another model may be asked, and decides nothing else."""
_NO_CREDIT: Final = "Your credit balance is too low"
"""Anthropic has no word of its own for it; what a client sent begins no message."""
_CODES: Final[Mapping[str, str]] = {
    word: code for code, words in {
        "provider_quota": (
            "insufficient_quota credit_balance_exhausted billing_error billing_not_active "
            "billing_hard_limit_reached organization_spend_limit_exceeded "
            "project_spend_limit_exceeded organization_usage_limit_exceeded "
            "exceeded_current_quota_error insufficient_balance Arrearage AccountOverdueError "
            "BILLING_DISABLED 1008 1113 1308 1309 1310"),
        "provider_auth": (
            "invalid_api_key authentication_error invalid_authentication_error InvalidApiKey "
            "API_KEY_INVALID API_KEY_SERVICE_BLOCKED UNAUTHENTICATED account_deactivated "
            "invalid_organization CREDENTIALS_MISSING 1004 401"),
        "provider_rate_limited": (
            "rate_limit_exceeded rate_limit_error RATE_LIMIT_EXCEEDED RESOURCE_EXHAUSTED "
            "RateLimitReached RateLimitExceeded slow_down rate_limit_reached_error "
            "engine_overloaded_error Throttling 1002 1302 1303 1305 429"),
    }.items() for word in words.split()
}
"""Words that say more than the status does."""
_CODES_OF_200: Final[Mapping[str, str]] = {
    **{word: "provider_failed" for word in (
        "server_error overloaded_error api_error timeout_error server_is_overloaded INTERNAL "
        "UNAVAILABLE DEADLINE_EXCEEDED 500 502 503 504 529 1000 1001").split()},
    **{word: "provider_forbidden" for word in (
        "permission_error PERMISSION_DENIED unsupported_country 403").split()},
    **{word: "provider_rejected" for word in (
        "invalid_request_error not_found_error request_too_large model_not_found "
        "context_length_exceeded content_filter INVALID_ARGUMENT FAILED_PRECONDITION NOT_FOUND "
        "400 404 413 422 1013 1026 1027 1301 2013").split()},
}
_BY_STATUS: Final[Mapping[int, str]] = {
    401: "provider_auth", 402: "provider_quota", 403: "provider_forbidden",
    408: "provider_failed", 429: "provider_rate_limited", 498: "provider_failed",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """`passes`: the body may go to the client as it is. `code`: the row of the table that it is.

    `reason`: what of the operator it names, a word of REASONS; None where it passes.
    """

    passes: bool
    code: str
    reason: str | None = None


def judge(api: Api, status: int, body: bytes, secrets: tuple[bytes, ...]) -> Verdict:
    """Judges a provider's error answer: `status` is its HTTP status, 200 for one inside a reply.

    `secrets` are the operator's credentials and the names of his own places (hosts, ids). Where
    the verdict is that it does not pass, the caller answers with its code, which has its own text.
    """
    body = body.replace(b"\0", b"")  # of UTF-16
    document = _document(body)
    code = _code(api, status, document)
    reason = _reason(body, secrets)
    if reason is None and b"\\" in body:  # escapes hide nothing
        plain = body if document is None else msgspec.json.encode(document)
        plain = _ESCAPED.sub(lambda found: bytes((int(found[1], 16),)), plain)
        for space in (b"\\n", b"\\r", b"\\t"):
            plain = plain.replace(space, b" ")
        reason = _reason(plain.replace(b"\\", b""), secrets)
    return Verdict(reason is None, code, reason)


def words_of(body: bytes) -> frozenset[str]:
    """The machine-readable members of a provider's error, and `context_length_exceeded` where only
    its text says so: Anthropic and Gemini have no word of their own for it.
    """
    words = frozenset(_words(_document(body)))
    return words | {"context_length_exceeded"} if _TOO_LONG.search(body) else words


def asked_delay(body: bytes) -> float | None:
    """Seconds that a provider asks to wait in its error's body: Gemini's RetryInfo."""
    document = _document(body)
    if isinstance(document, list):
        document = document[0] if document else None
    error = document.get("error") if isinstance(document, dict) else None
    details = error.get("details") if isinstance(error, dict) else None
    for detail in details if isinstance(details, list) else ():
        delay = detail.get("retryDelay") if isinstance(detail, dict) else None
        if isinstance(delay, str) and _DELAY.fullmatch(delay):
            return float(delay[:-1])
    return None


def names_operator(text: bytes, secrets: tuple[bytes, ...]) -> bool:
    """Whether a provider's words, such as the reason of its close, name the operator."""
    return _reason(text, secrets) is not None


def _reason(body: bytes, secrets: tuple[bytes, ...]) -> str | None:
    if any(_tells(secret, body) for secret in secrets):
        return "secret"
    lower = body.lower()
    for reason, triggers, pattern in _NAMES:
        if any(trigger in lower for trigger in triggers) and pattern.search(body):
            return reason
    return None


def _tells(secret: bytes, body: bytes) -> bool:
    """A host of one plain word (`vllm`) is found only where it stands as a host."""
    if secret not in body or len(secret) < SECRET_BYTES_MIN or secret in PUBLIC_HOSTS:
        return False
    if _WORD.fullmatch(secret):
        return b"//" + secret in body or re.search(re.escape(secret) + rb":\d", body) is not None
    return True


def _document(body: bytes) -> object:
    try:
        return msgspec.json.decode(body)
    except (ValueError, RecursionError):  # a name that is not UTF-8 is no DecodeError
        pass
    try:
        return msgspec.json.decode(mended(body))
    except (ValueError, RecursionError):
        return None


def _code(api: Api, status: int, document: object) -> str:
    words = list(_words(document))
    if api != "openai":  # numbers are codes of vendors that speak OpenAI's dialect
        words = [word for word in words if not word.isdigit()]
    for word in words:
        code = _CODES.get(word) or _CODES.get(word.partition(".")[0])
        if code is not None and not _contradicts(code, status):
            return code
    if status < 400:
        known = (_CODES_OF_200[word] for word in words if word in _CODES_OF_200)
        return next(known, "provider_stream_error")
    return _BY_STATUS.get(status, "provider_failed" if status >= 500 else "provider_rejected")


def _contradicts(code: str, status: int) -> bool:
    """A word of one class under a status of another: some types are used for everything."""
    if status < 400 or code == "provider_quota":
        return False
    if code == "provider_auth":
        return status not in (400, 401, 403)
    return status not in (400, 403, 429, 503, 529)


def _words(document: object) -> Iterator[str]:
    """Machine-readable members of an error in any provider's shape, the most telling first."""
    if isinstance(document, list):
        document = document[0] if document else None
    if not isinstance(document, dict):
        return
    inner = document.get("error")
    if not isinstance(inner, dict):
        response = document.get("response")
        inner = response.get("error") if isinstance(response, dict) else None
    base = document.get("base_resp")  # MiniMax answers 200 with it
    if isinstance(base, dict):
        yield str(base.get("status_code"))
    for source in (inner, document):
        if isinstance(source, dict):
            yield from _members(source)


def _members(source: dict[object, object]) -> Iterator[str]:
    details = source.get("details")
    for detail in details if isinstance(details, list) else ():
        if isinstance(detail, dict) and isinstance(detail.get("reason"), str):
            yield detail["reason"]
    message = source.get("message")
    if isinstance(message, str) and message.startswith(_NO_CREDIT):
        yield "credit_balance_exhausted"
    for member in ("code", "type", "status"):
        value = source.get(member)
        if isinstance(value, (str, int)):
            yield str(value)
