"""Parts of an upload are written from the tables alone."""

from __future__ import annotations

from relayd.wire.upload_fields import UPLOAD_FIELDS
from relayd.wire.upload_parts import KeptField, files_in_order, in_order, kept_file

ROWS = UPLOAD_FIELDS["image_edit"]


def test_a_field_is_plain() -> None:
    assert KeptField(0, "prompt", "ü".encode()).write(b"B") == (
        '--B\r\nContent-Disposition: form-data; name="prompt"\r\n\r\nü\r\n'.encode())


def test_a_file_is_named_by_its_kind_and_number() -> None:
    file = kept_file(ROWS["image"], 18, "image[]", "JPG", "image/png")
    assert file.head(b"B", 2) == (
        b'--B\r\nContent-Disposition: form-data; name="image[]"; filename="image2.jpeg"\r\n'
        b"Content-Type: image/jpeg\r\n\r\n")
    mask = kept_file(ROWS["mask"], 19, "mask", "", "")
    assert b'name="mask"; filename="mask.png"' in mask.head(b"B", 1)


def test_order_is_by_rank_then_name_then_arrival() -> None:
    fields = [KeptField(2, "b", b"1"), KeptField(1, "z", b"2"), KeptField(2, "a", b"3"),
              KeptField(2, "b", b"4")]
    assert [f.value for f in in_order(fields)] == [b"2", b"3", b"1", b"4"]
    files = [kept_file(ROWS["mask"], 19, "mask", "", ""),
             kept_file(ROWS["image"], 18, "image", "", "")]
    assert [f.row.name for f in files_in_order(files)] == ["image", "mask"]
