"""Tests of reading forms, over a real socket."""

from __future__ import annotations

import aiohttp
import pytest

from relayd.demo.form import FIELD_BYTES_MAX

PATH = "/v1/audio/transcriptions"


async def test_fields_and_files(client: aiohttp.ClientSession) -> None:
    form = aiohttp.FormData()
    form.add_field("file", b"\0" * 300_000, filename="speech.wav", content_type="audio/wav")
    form.add_field("model", "whisper-1")
    form.add_field("response_format", "vtt")
    async with client.post(PATH, data=form) as reply:
        assert reply.status == 200
        assert (await reply.text()).startswith("WEBVTT")


async def test_the_model_of_a_form_can_fail(client: aiohttp.ClientSession) -> None:
    form = aiohttp.FormData({"model": "demo-422"})
    form.add_field("file", b"x", filename="x.wav")
    async with client.post(PATH, data=form) as reply:
        assert reply.status == 422


async def test_a_field_is_bounded(client: aiohttp.ClientSession) -> None:
    form = aiohttp.FormData(default_to_multipart=True)
    form.add_field("model", "x" * (FIELD_BYTES_MAX + 1))
    async with client.post(PATH, data=form) as reply:
        assert reply.status == 400


@pytest.mark.parametrize(("kind", "body"), [
    ("multipart/form-data", b"--x\r\n"),
    ("multipart/form-data; boundary=x", b"no form at all"),
    ("multipart/form-data; boundary=x", b"--x\r\nContent-Type: multipart/mixed; boundary=y\r\n"
     b"Content-Disposition: form-data; name=a\r\n\r\n--y\r\n\r\nz\r\n--y--\r\n--x--\r\n"),
])
async def test_what_is_no_form(client: aiohttp.ClientSession, kind: str, body: bytes) -> None:
    async with client.post(PATH, data=body, headers={"Content-Type": kind}) as reply:
        assert reply.status == 400
        assert "form" in (await reply.json())["error"]["message"]
