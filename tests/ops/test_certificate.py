"""From when and until when a certificate is valid."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import trustme

from relayd.ops.certificate import begins_at_seconds, ends_at_seconds


def test_the_first_certificate_of_a_file(tmp_path: Path) -> None:
    ends = datetime(2031, 5, 6, 7, 8, 9, tzinfo=timezone.utc)
    begins = datetime(2021, 5, 6, 7, 8, 9, tzinfo=timezone.utc)
    made = trustme.CA().issue_cert("localhost", not_before=begins, not_after=ends)
    path = tmp_path / "chain.pem"
    path.write_bytes(b"".join(blob.bytes() for blob in made.cert_chain_pems))
    assert ends_at_seconds(str(path)) == ends.timestamp()
    assert begins_at_seconds(str(path)) == begins.timestamp()


def test_files_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "x.pem"
    assert ends_at_seconds(str(path)) is None
    path.write_text("nothing\n")
    assert ends_at_seconds(str(path)) is None and begins_at_seconds(str(path)) is None
