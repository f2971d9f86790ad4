"""The demo provider as a server: it speaks OpenAI, Anthropic and Gemini on one loopback port.

Law: off the relay path. The dialects decide what is said; here it is paced, and faults are played.
"""

from __future__ import annotations

import asyncio
from typing import Final

import orjson
from aiohttp import WSMsgType, web

from relayd.core.provider import Api
from relayd.demo import (
    anthropic, failures, gemini, models, openai_chat, openai_media, openai_realtime,
    openai_responses, openai_scores,
)
from relayd.demo.failures import Fault
from relayd.demo.form import read_form
from relayd.demo.reply import JSON, Body, Operation, Plain, Streamed, json_reply

CREDENTIAL: Final = "demo-credential"
PACE_MS: Final = 4.0
BODY_BYTES_MAX: Final = 128 * 1024 * 1024
STALL_SECONDS: Final = 3600.0
SHUTDOWN_SECONDS: Final = 0.5

OPERATIONS: Final[dict[str, tuple[Api, Operation]]] = {
    "/v1/chat/completions": ("openai", openai_chat.chat),
    "/v1/completions": ("openai", openai_chat.completions),
    "/v1/responses": ("openai", openai_responses.responses),
    "/v1/embeddings": ("openai", openai_scores.embeddings),
    "/v1/moderations": ("openai", openai_scores.moderations),
    "/v1/rerank": ("openai", openai_scores.rerank),
    "/v1/images/generations": ("openai", openai_media.images),
    "/v1/images/edits": ("openai", openai_media.images),
    "/v1/audio/speech": ("openai", openai_media.speech),
    "/v1/audio/transcriptions": ("openai", openai_media.transcriptions),
    "/v1/audio/translations": ("openai", openai_media.translations),
    "/v1/messages": ("anthropic", anthropic.messages),
    "/v1/messages/count_tokens": ("anthropic", anthropic.count_tokens),
}
VERBS: Final[dict[str, Operation]] = {
    "generateContent": gemini.generate,
    "streamGenerateContent": gemini.stream_array,
    "countTokens": gemini.count,
    "embedContent": gemini.embed,
    "batchEmbedContents": gemini.batch_embed,
}
REALTIME: Final = "/v1/realtime"
SOCKET_BYTES_MAX: Final = 16 * 1024 * 1024
_VERSION: Final = "/{version:v1|v1beta}"


class Refusal(Exception):
    """The demo provider does not do this: a status, and the message that the client is shown."""

    def __init__(self, status: int, message: str | None = None) -> None:
        super().__init__(status)
        self.status = status
        self.message = message


def make_app(pace_ms: float = PACE_MS) -> web.Application:
    """The application; `pace_ms` is the time between two events of a stream."""
    stage = _Stage(pace_ms / 1000)
    app = web.Application(client_max_size=BODY_BYTES_MAX)
    for path in OPERATIONS:
        app.router.add_post(path, stage.post)
    app.router.add_post(_VERSION + "/models/{model:[^/:]+}:{verb:[A-Za-z]+}", stage.verb)
    app.router.add_get(REALTIME, stage.realtime)
    app.router.add_get(_VERSION + "/models", stage.models)
    app.router.add_get(_VERSION + "/models/{model:[^/]+}", stage.models)
    app.router.add_route("*", "/{rest:.*}", stage.unknown)
    return app


class DemoUpstream:
    """The demo provider on a port of its own; `port` says which one while it is started."""

    def __init__(self, pace_ms: float = PACE_MS) -> None:
        self._pace_ms = pace_ms
        self._runner: web.AppRunner | None = None
        self.port = 0

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Binds; OSError where that fails. Port 0: any free one."""
        runner = web.AppRunner(make_app(self._pace_ms), access_log=None, handler_cancellation=True,
                               shutdown_timeout=SHUTDOWN_SECONDS)
        await runner.setup()
        self._runner = runner
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError:
            await self.stop()
            raise
        self.port = runner.addresses[0][1]

    async def stop(self) -> None:
        """Closes the listener and its connections; may be called twice."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()


class _Stage:
    """Reads requests, lets a dialect answer, and plays the answer."""

    def __init__(self, pace_seconds: float) -> None:
        self._pace_seconds = pace_seconds

    async def post(self, request: web.Request) -> web.StreamResponse:
        """One of `OPERATIONS`."""
        api, operation = OPERATIONS[request.path]
        try:
            _check_credential(request)
            body = await _read(request)
        except Refusal as refusal:
            return _refused(api, refusal)
        return await self._play(request, api, operation, body)

    async def verb(self, request: web.Request) -> web.StreamResponse:
        """One of `VERBS`: the model is in the path."""
        operation = VERBS.get(request.match_info["verb"])
        try:
            _check_credential(request)
            if operation is None:
                raise Refusal(404, "The demo provider does not know this method.")
            body = await _read(request)
        except Refusal as refusal:
            return _refused("gemini", refusal)
        if operation is gemini.stream_array and request.query.get("alt") == "sse":
            operation = gemini.stream
        body["model"] = request.match_info["model"]
        return await self._play(request, "gemini", operation, body)

    async def realtime(self, request: web.Request) -> web.StreamResponse:
        """A session over WebSocket."""
        model = request.query.get("model", "")
        fault = failures.fault_of(model)
        try:
            _check_credential(request)
            if fault.kind == "status":
                raise Refusal(fault.status)
        except Refusal as refusal:
            return _refused("openai", refusal)
        socket = web.WebSocketResponse(max_msg_size=SOCKET_BYTES_MAX, compress=False)
        if not socket.can_prepare(request):
            return _refused("openai", Refusal(400, "This is served over WebSocket."))
        await socket.prepare(request)
        session = openai_realtime.Session(model)
        for event in session.opening():
            await socket.send_str(_json(event))
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                await self._converse(request, socket, session, message.data, fault)
        return socket

    async def _converse(
        self, request: web.Request, socket: web.WebSocketResponse,
        session: openai_realtime.Session, said: str, fault: Fault,
    ) -> None:
        """Plays the answer to one message; faults come in the middle of a response."""
        try:
            heard = orjson.loads(said)
        except orjson.JSONDecodeError:
            heard = None
        if not isinstance(heard, dict):
            await socket.send_str(_json(session.error("The event is not a JSON object.", {})))
            return
        events = list(session.hear(heard))
        breaks = fault.kind in ("cut", "stall", "error") and heard.get("type") == "response.create"
        for event in events[:(len(events) + 1) // 2] if breaks else events:
            await socket.send_str(_json(event))
            if self._pace_seconds and event["type"].endswith(".delta"):
                await asyncio.sleep(self._pace_seconds)
        if breaks and fault.kind == "error":
            await socket.send_str(_json(session.error(
                "The demo provider breaks off here, as this model name asks it to.", heard)))
        elif breaks:
            await _break_off(request, fault)

    async def models(self, request: web.Request) -> web.StreamResponse:
        """The list of models, or one of them."""
        api = _api_of(request)
        try:
            _check_credential(request)
        except Refusal as refusal:
            return _refused(api, refusal)
        name = request.match_info.get("model")
        value = models.listing(api) if name is None else models.entry(api, name)
        return web.Response(body=json_reply(value).body, content_type=JSON)

    async def unknown(self, request: web.Request) -> web.StreamResponse:
        """Everything else; an upgrade gets the status that makes agents ask over HTTP at once."""
        if "Upgrade" in request.headers:
            return _refused("openai", Refusal(426, "The demo provider has no WebSocket."))
        message = "The demo provider does not serve this path."
        return _refused(_api_of(request), Refusal(404, message))

    async def _play(
        self, request: web.Request, api: Api, operation: Operation, body: Body,
    ) -> web.StreamResponse:
        fault = failures.fault_of(str(body.get("model", "")))
        if fault.kind == "status":
            return _refused(api, Refusal(fault.status))
        if fault.kind == "html":
            return web.Response(status=failures.HTML_STATUS, body=failures.HTML,
                                content_type="text/html")
        reply = operation(body)
        if isinstance(reply, Streamed):
            return await self._stream(request, reply, fault)
        if fault.kind == "error":
            return _refused(api, Refusal(500))
        return await self._plain(request, reply, fault)

    async def _plain(
        self, request: web.Request, reply: Plain, fault: Fault,
    ) -> web.StreamResponse:
        if fault.kind == "slow":
            await asyncio.sleep(fault.seconds)
        response = web.StreamResponse(headers={
            "Content-Type": reply.content_type, "Content-Length": str(len(reply.body))})
        await response.prepare(request)
        if fault.kind in ("cut", "stall"):
            await response.write(reply.body[:len(reply.body) // 2])
            await _break_off(request, fault)
        else:
            await response.write(reply.body)
        return response

    async def _stream(
        self, request: web.Request, reply: Streamed, fault: Fault,
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={
            "Content-Type": reply.content_type, "Cache-Control": "no-cache"})
        await response.prepare(request)
        if fault.kind == "slow":
            await asyncio.sleep(fault.seconds)
        events = reply.events
        if fault.kind in ("cut", "stall", "error"):
            events = events[:(len(events) + 1) // 2]
        for event in events:
            await response.write(event)
            if self._pace_seconds:
                await asyncio.sleep(self._pace_seconds)
        await self._end(request, response, reply, fault)
        return response

    async def _end(
        self, request: web.Request, response: web.StreamResponse, reply: Streamed, fault: Fault,
    ) -> None:
        if fault.kind in ("cut", "stall"):
            await _break_off(request, fault)
        elif fault.kind == "error":
            await response.write(reply.error)
        elif fault.kind != "noend":
            await response.write(b"".join(reply.end))


async def _break_off(request: web.Request, fault: Fault) -> None:
    """Stops in the middle: silent for an hour, or the connection ends."""
    if fault.kind == "stall":
        await asyncio.sleep(STALL_SECONDS)
    if request.transport is not None:
        request.transport.close()


def _json(event: openai_realtime.Event) -> str:
    return orjson.dumps(event).decode()


async def _read(request: web.Request) -> Body:
    if request.content_type == "multipart/form-data":
        try:
            return await read_form(request)
        except ValueError:
            raise Refusal(400, "The form cannot be read.") from None
    try:
        body = orjson.loads(await request.read())
    except orjson.JSONDecodeError:
        raise Refusal(400, "The body is not JSON.") from None
    if not isinstance(body, dict):
        raise Refusal(400, "The body is not a JSON object.")
    return body


def _check_credential(request: web.Request) -> None:
    fields = request.headers
    given = (fields.get("Authorization", "").removeprefix("Bearer "), fields.get("x-api-key"),
             fields.get("x-goog-api-key"))
    if CREDENTIAL not in given:
        raise Refusal(401, "The demo provider wants the operator's credential.")


def _api_of(request: web.Request) -> Api:
    if "anthropic-version" in request.headers:
        return "anthropic"
    return "gemini" if "x-goog-api-key" in request.headers else "openai"


def _refused(api: Api, refusal: Refusal) -> web.Response:
    body = failures.error_body(api, refusal.status, refusal.message)
    return web.Response(status=refusal.status, body=orjson.dumps(body), content_type=JSON,
                        headers=failures.error_fields(refusal.status))
