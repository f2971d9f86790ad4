"""The parcel: its recipient opens it, nobody else does, and no change of it goes unseen."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from relayd.core.errors import RelayError
from relayd.store.parcel import PIECE_BYTES, Recipient, pack, recipient, unpack, write_new

OWN = X25519PrivateKey.from_private_bytes(bytes(range(32)))
PRIVATE = OWN.private_bytes_raw()
TO = recipient(OWN.public_key().public_bytes_raw().hex(), None)
PASSPHRASE = "a long passphrase"


async def pieces(*found: bytes) -> AsyncIterator[bytes]:
    for piece in found:
        yield piece


async def packed(to: Recipient, *content: bytes) -> bytes:
    return b"".join([piece async for piece in pack(to, pieces(*content))])


@pytest.mark.parametrize("content", [
    b"", b"x", b"a" * PIECE_BYTES, b"a" * (PIECE_BYTES + 1), b"ab" * (2 * PIECE_BYTES)])
async def test_its_recipient_opens_it(content: bytes) -> None:
    parcel = await packed(TO, content[:7], content[7:])
    assert b"".join(unpack(parcel, PRIVATE, None)) == content
    assert len(content) < 8 or content[:8] not in parcel


async def test_a_passphrase_opens_it() -> None:
    parcel = await packed(recipient(None, PASSPHRASE), b"content")
    assert b"".join(unpack(parcel, None, PASSPHRASE)) == b"content"
    for key, phrase in ((None, PASSPHRASE + "."), (PRIVATE, None)):
        with pytest.raises(RelayError):
            list(unpack(parcel, key, phrase))
    assert PASSPHRASE not in repr(recipient(None, PASSPHRASE))


async def test_another_key_does_not() -> None:
    parcel = await packed(TO, b"content")
    with pytest.raises(RelayError) as caught:
        list(unpack(parcel, bytes(32), None))
    assert caught.value.code == "invalid_value"
    assert (await packed(TO, b"content")) != parcel


async def test_pieces_are_not_cut_off_left_out_or_swapped() -> None:
    parcel = await packed(TO, bytes(3 * PIECE_BYTES + 5))
    head = parcel.index(b"\n") + 1
    size = 4 + PIECE_BYTES + 16
    one, two, three = (parcel[head + n * size:head + (n + 1) * size] for n in range(3))
    end = parcel[head + 3 * size:]
    for changed in (parcel[:-len(end)], parcel[:head] + two + one + three + end,
                    parcel[:head] + one + three + end, parcel + end, parcel[:head],
                    parcel[:-1], b"", b"\n", parcel.replace(b"x25519", b"scrypt")):
        with pytest.raises(RelayError):
            list(unpack(changed, PRIVATE, None))


@settings(max_examples=200, deadline=None)
@given(st.data())
async def test_no_changed_bit_goes_unseen(data: st.DataObject) -> None:
    parcel = bytearray(await packed(TO, b"a short content"))
    parcel[data.draw(st.integers(0, len(parcel) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(RelayError):
        list(unpack(bytes(parcel), PRIVATE, None))


@pytest.mark.parametrize(("key", "phrase"), [
    (None, None), ("ab" * 32, PASSPHRASE), ("ab", None), ("zz" * 32, None), (None, "short")])
def test_unfit_recipients(key: str | None, phrase: str | None) -> None:
    with pytest.raises(RelayError) as caught:
        recipient(key, phrase)
    assert caught.value.code == "invalid_value"


async def test_a_file_has_its_name_once_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "parcel"

    async def content(fails: bool) -> AsyncIterator[bytes]:
        yield b"one "
        assert not path.exists()
        if fails:
            raise ZeroDivisionError
        yield b"two"

    with pytest.raises(ZeroDivisionError):
        await write_new(path, content(True))
    assert list(tmp_path.iterdir()) == []
    await write_new(path, content(False))
    assert path.read_bytes() == b"one two" and path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        await write_new(path, content(False))
    assert list(tmp_path.iterdir()) == [path]
