"""Forms with files: what is kept, what is thrown away, and what is not even read."""

from __future__ import annotations

import asyncio
import gzip
from typing import Any

import msgspec
import pytest
from aiohttp import FormData, web

from relayd.console import upload
from relayd.console.page import reply
from relayd.console.route import HOLDER, PUBLIC, Files, Route
from relayd.console.upload import Parts, file_names
from relayd.console.visit import Visit
from relayd.core.errors import RelayError
from relayd.store.db import Database
from relayd.wire.multipart_reader import PartHead
from tests.console.conftest import Console, started
from tests.console.people import person

BYTES_MAX = 100_000


class Wish(msgspec.Struct, forbid_unknown_fields=True):
    """What the test's form takes."""

    name: str = ""
    files: list[bytes] = []
    one: bytes | None = None


async def _echo(visit: Visit) -> web.StreamResponse:
    wish = visit.take(Wish)
    return reply({"name": wish.name, "files": [len(each) for each in wish.files],
                  "one": None if wish.one is None else wish.one.hex(),
                  "csrf": visit.csrf})


async def _mine(visit: Visit) -> web.StreamResponse:
    return reply({"csrf": visit.csrf})


FILES = Files(2, BYTES_MAX)
ROUTES = (
    Route("POST", "/form", _echo, PUBLIC, "A test's", takes=Wish, files=FILES),
    Route("GET", "/mine", _mine, HOLDER, "A test's"),
    Route("POST", "/mine", _echo, HOLDER, "A test's", takes=Wish, files=FILES),
    Route("POST", "/api/v1/wish", _echo, PUBLIC, "A test's", takes=Wish,
          files=Files(1, BYTES_MAX)),
    Route("POST", "/api/v1/plain", _echo, PUBLIC, "A test's", takes=Wish),
)


@pytest.fixture
async def site(db: Database) -> Any:
    made = await started(db, ROUTES)
    yield made
    await made.stop()


def form(*parts: tuple[str, str | bytes]) -> FormData:
    made = FormData(default_to_multipart=True)
    for name, value in parts:
        if isinstance(value, bytes):
            made.add_field(name, value, filename="../../etc/passwd", content_type="text/html")
        else:
            made.add_field(name, value)
    return made


async def code(response: Any) -> str:
    """A page has the error's code in it."""
    text = await response.text()
    return next((name for name in (
        "invalid_form", "invalid_multipart", "unsupported_media_type", "body_too_large",
        "form_stale", "card_number", "request_timeout") if name in text), text)


def test_files_are_the_fields_of_bytes() -> None:
    assert file_names(Wish) == {"files", "one"} and file_names(None) == frozenset()


async def test_fields_and_files_arrive(site: Console) -> None:
    found = await site.post("/form", form(
        ("name", "王"), ("files", b"abc"), ("files", b"x" * BYTES_MAX), ("one", b"")))
    assert await found.json() == {
        "name": "王", "files": [3, BYTES_MAX], "one": None, "csrf": ""}


async def test_what_is_too_large_or_too_much_is_seen_and_not_kept(site: Console) -> None:
    found = await site.post("/form", form(("files", b"x" * (3 * BYTES_MAX)), ("one", b"ab")))
    assert (await found.json())["files"] == [BYTES_MAX + 1]
    found = await site.post("/form", form(*(("files", b"x" * 1000) for _ in range(9))))
    assert (await found.json())["files"] == [1000, 1000, 1]


async def test_a_form_without_files_is_one_all_the_same(site: Console) -> None:
    assert (await (await site.post("/form", form(("name", "x")))).json())["files"] == []
    # what a browser sends where none was chosen
    body = (b'--b\r\nContent-Disposition: form-data; name="files"; filename=""\r\n'
            b"Content-Type: application/octet-stream\r\n\r\n\r\n--b--\r\n")
    found = await site.post("/form", body, headers={
        "Content-Type": "multipart/form-data; boundary=b"})
    assert (await found.json())["files"] == []


@pytest.mark.parametrize("parts", [
    (("other", b"abc"),), (("name", b"abc"),), (("files", "abc"),), (("name", "x" * 70_000),),
    (("unknown", "x"),), (("one", b"a"), ("one", b"b")), (("name", "x"),) * 65,
], ids=str)
async def test_anything_else_is_refused(site: Console, parts: Any) -> None:
    response = await site.post("/form", form(*parts))
    assert (response.status, await code(response)) == (422, "invalid_form")


async def test_a_card_is_no_field(site: Console) -> None:
    response = await site.post("/form", form(("name", "4111 1111 1111 1111")))
    assert await code(response) == "card_number"


@pytest.mark.parametrize("kind, body, expected", [
    ("application/x-www-form-urlencoded", b"name=x", "unsupported_media_type"),
    ("multipart/form-data", b"", "unsupported_media_type"),
    ("multipart/mixed; boundary=b", b"--b--", "unsupported_media_type"),
    ("multipart/form-data; boundary=b", b"", "invalid_multipart"),
    ("multipart/form-data; boundary=b", b"--b\r\n", "invalid_multipart"),
    ("multipart/form-data; boundary=b", b"x" * 100_000, "invalid_multipart"),
    ("multipart/form-data; boundary=b",
     b'--b\r\nContent-Disposition: form-data; name="name"\r\n\r\n\xff\r\n--b--\r\n',
     "invalid_form"),
    ("multipart/form-data; boundary=b",
     b'--b\r\nContent-Disposition: form-data; name="files"; filename="x"\r\n'
     b"Content-Transfer-Encoding: base64\r\n\r\nAAAA\r\n--b--\r\n", "invalid_multipart"),
    ("multipart/form-data; boundary=b",
     b'--b\r\nContent-Disposition: form-data; name="files"; filename="x"\r\n\r\ncut',
     "invalid_multipart"),
])
async def test_what_is_no_form(site: Console, kind: str, body: bytes, expected: str) -> None:
    response = await site.post("/form", body, headers={"Content-Type": kind})
    assert await code(response) == expected


async def test_what_unpacks_to_more_is_bounded_all_the_same(
    site: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload, "UPLOAD_BYTES_MAX", 300_000)
    head = (b'--b\r\nContent-Disposition: form-data; name="files"; filename="x"\r\n\r\n')
    headers = {"Content-Type": "multipart/form-data; boundary=b", "Content-Encoding": "gzip"}
    packed = gzip.compress(head + b"\0" * 10_000_000 + b"\r\n--b--\r\n")
    assert len(packed) < 20_000
    response = await site.post("/form", packed, headers=headers)
    assert (response.status, await code(response)) == (413, "body_too_large")
    response = await site.post("/form", b"no gzip at all", headers=headers)
    assert response.status in (400, 422)


async def test_who_sends_too_slowly_is_not_waited_for(
    site: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload, "UPLOAD_SECONDS", 0.1)

    async def slow() -> Any:
        yield b"--b\r\n"
        await asyncio.sleep(5)

    response = await site.post("/form", slow(), headers={
        "Content-Type": "multipart/form-data; boundary=b"})
    assert (response.status, await code(response)) == (408, "request_timeout")


async def test_no_file_is_read_before_the_forms_own_token(site: Console, db: Database) -> None:
    ann = await person(db, site.now_ms)
    site.http.cookie_jar.update_cookies({"rd_sid": ann.token})
    csrf = (await (await site.get("/mine")).json())["csrf"]
    own: Any
    for own in ((("csrf", csrf), ("files", b"abc")), (("csrf", csrf), ("name", "x"))):
        assert (await site.post("/mine", form(*own))).status == 200
    parts: Any
    for parts in ((("files", b"abc"), ("csrf", csrf)), (("csrf", "0" * 32), ("files", b"abc")),
                  (("name", "x"),), (("csrf", csrf + "x"),)):
        response = await site.post("/mine", form(*parts))
        assert (response.status, await code(response)) == (403, "form_stale")
    other = await site.http.post(f"{site.origin}/mine", data=form(("csrf", csrf)))
    assert other.status == 403  # no Origin: not one of our pages


def test_what_is_thrown_away_takes_no_memory() -> None:
    parts = Parts(frozenset({"files"}), Files(1, 10), lambda token: None)
    for _ in range(3):
        parts.part_begin(PartHead("files", True, "", ""))
        for _ in range(1000):
            parts.part_data(b"x" * 1000)
            assert len(parts._value) <= 11
        parts.part_end()
    assert [len(value) for _, value in parts.fields] == [11, 1] and repr(parts) == "<Parts>"


def test_a_token_that_is_wrong_ends_it_at_the_first_file() -> None:
    def admit(token: str) -> None:
        raise RelayError("form_stale")

    parts = Parts(frozenset({"files"}), Files(1, 10), admit)
    parts.part_begin(PartHead("name", False, "", ""))
    parts.part_end()
    with pytest.raises(RelayError):
        parts.part_begin(PartHead("files", True, "", ""))


async def test_a_program_sends_a_larger_body_where_a_file_is_in_it(site: Console) -> None:
    async def ask(path: str, size: int) -> int:
        body = msgspec.json.encode({"one": b"x" * size})
        async with site.http.post(site.origin + path, data=body) as response:
            return response.status

    assert await ask("/api/v1/wish", BYTES_MAX) == 200
    assert await ask("/api/v1/wish", 2 * BYTES_MAX) == 413
    assert await ask("/api/v1/plain", BYTES_MAX) == 413
