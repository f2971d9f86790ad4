"""Whatever a broken archive raises is in the list."""

from __future__ import annotations

import io
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relayd.core.errors import RelayError
from relayd.wire.partner_bill import unzipped
from relayd.wire.zipped import UNSOUND


def packed(how: int) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", how) as archive:
        archive.writestr("bill.csv", "业务明细,1.00\n".encode("gb18030") * 40)
    return made.getvalue()


@pytest.mark.parametrize("how", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_an_archive_that_was_changed_is_read_or_refused(how: int, data: st.DataObject) -> None:
    raw = bytearray(packed(how))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            for item in archive.infolist():
                archive.read(item)
    except UNSOUND:
        pass
    try:
        list(unzipped(bytes(raw)))
    except RelayError as error:
        assert error.code == "partner_failed"


def test_a_stream_that_does_not_unpack_is_the_partners_failure() -> None:
    raw = bytearray(packed(zipfile.ZIP_DEFLATED))
    start = 30 + len("bill.csv")
    raw[start:start + 8] = b"\xff" * 8
    with pytest.raises(RelayError) as caught:
        list(unzipped(bytes(raw)))
    assert caught.value.code == "partner_failed"
