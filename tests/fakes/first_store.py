"""A store as the first version left it when it was killed: its tables, its secret, its journal."""

from __future__ import annotations

import base64
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

TABLES: Final = Path(__file__).with_name("first_store.sql")
SECRET: Final = "650f49254814ce0ccdca6a0e90b66f72c9d2af39a998589dd3b7803e01935b9e"
ANN: Final = "acct_01KDVDNA00P8X4F49GVJHR7R5V"
BEN: Final = "acct_01KDVDNA01X5GF9D32PEA9R4QJ"
ERASED: Final = "acct_01KDVDNA02VHN00FPAZNTWFX6D"
"""Erased by the first version, which left the label of its call."""
ANN_KEY: Final = "sk-relayd-PDT6cVrYEQD0oBCuB1CLX7nRFKH4rV45vZewT4hjzPY4IWytI"
BEN_KEY: Final = "sk-relayd-K4b1Meplks68ThaPKngmUTcY8veDM7sePPQAcv0MrpQ0pR8Wo"
_JOURNAL: Final = """
pQGmAAAAOdN9WQQAAAAAAAAAm7owMUtEVkROQVo4MDAwMDAwMDAwMDAwMDAwMc8AAAGbdtqr6L9hY2N0XzAxS0RWRE5B
MDBQOFg0RjQ5R1ZKSFI3UjVWvmtleV8wMUtEVkROQTAzRUY3MVNCMUczQU4wNlRaOaVub3Rlc6ZvcGVuYWm0L3YxL2No
YXQvY29tcGxldGlvbnOrZ3B0LTRvLW1pbmmmb3BlbmFpq2dwdC00by1taW5pw6UB3gAAAGUJFUAKAAAAAAAAANwAIrow
MUtEVkROQVo4MDAwMDAwMDAwMDAwMDAwMc8AAAGbdtqr6L9hY2N0XzAxS0RWRE5BMDBQOFg0RjQ5R1ZKSFI3UjVWvmtl
eV8wMUtEVkROQTAzRUY3MVNCMUczQU4wNlRaOaVub3Rlc6ZvcGVuYWm0L3YxL2NoYXQvY29tcGxldGlvbnOrZ3B0LTRv
LW1pbmmmb3BlbmFpq2dwdC00by1taW5pw8zIqWNvbXBsZXRlZMABZBQyAwcCAWPAqHJlcG9ydGVkzQXco1VTRMtAKLCj
1wo9ccAAAAAAAKUBoQAAAAqlNdgMAAAAAAAAAJu6MDFLRFZETkRYMDAwMDAwMDAwMDAwMDAwMDTPAAABm3bat6C/YWNj
dF8wMUtEVkROQTAxWDVHRjlEMzJQRUE5UjRRSr5rZXlfMDFLRFZETkEwNERaNkNXRVc4VzRLWDBHSlTApm9wZW5habQv
djEvY2hhdC9jb21wbGV0aW9uc6tncHQtNG8tbWluaaZvcGVuYWmrZ3B0LTRvLW1pbmnDpQGmAAAAShJagBAAAAAAAAAA
m7owMUtEVkRORVc4MDAwMDAwMDAwMDAwMDAwNc8AAAGbdtq7iL9hY2N0XzAxS0RWRE5BMDBQOFg0RjQ5R1ZKSFI3UjVW
vmtleV8wMUtEVkROQTAzRUY3MVNCMUczQU4wNlRaOaVub3Rlc6ZvcGVuYWm0L3YxL2NoYXQvY29tcGxldGlvbnOrZ3B0
LTRvLW1pbmmmb3BlbmFpq2dwdC00by1taW5pw6UBNAEAABrOuc8VAAAAAAAAAJq6MDFLRFZETkVXODAwMDAwMDAwMDAw
MDAwMDWmb3BlbmFpq2dwdC00by1taW5pAszIKAnDjKxpbnB1dF90b2tlbnMprW91dHB1dF90b2tlbnMAt2NhY2hlX3Jl
YWRfaW5wdXRfdG9rZW5zALtjYWNoZV9jcmVhdGlvbl9pbnB1dF90b2tlbnMAt3JlYXNvbmluZ19vdXRwdXRfdG9rZW5z
ALJhdWRpb19pbnB1dF90b2tlbnMAs2F1ZGlvX291dHB1dF90b2tlbnMAvmNhY2hlX2NyZWF0aW9uXzFoX2lucHV0X3Rv
a2VucwCyaW1hZ2VfaW5wdXRfdG9rZW5zALNpbWFnZV9vdXRwdXRfdG9rZW5zAKZpbWFnZXMArWF1ZGlvX3NlY29uZHMA
y0AMAAAAAAAApQHXAAAARouQTBoAAAAAAAAA3AAiujAxS0RWRE5EWDAwMDAwMDAwMDAwMDAwMDA0zwAAAZt22regv2Fj
Y3RfMDFLRFZETkEwMVg1R0Y5RDMyUEVBOVI0UUq+a2V5XzAxS0RWRE5BMDREWjZDV0VXOFc0S1gwR0pUwKZvcGVuYWm0
L3YxL2NoYXQvY29tcGxldGlvbnOrZ3B0LTRvLW1pbmmmb3BlbmFpq2dwdC00by1taW5pw8zIqWNvbXBsZXRlZMABZBQy
AwcCAWPAqHJlcG9ydGVkC6NVU0TLQCiwo9cKPXHAAAAAAAA=
"""
"""A call that is recorded, one of ben's that is not, and one of ann's that was under way."""


def write_first_store(folder: Path) -> None:
    """Puts it into a new directory."""
    lane = folder / "journal" / "0"
    for made in (folder, lane.parent, lane):
        made.mkdir(mode=0o700)
    (folder / "secret").write_bytes(bytes.fromhex(SECRET))
    (lane / "000000000001.journal").write_bytes(base64.b64decode(_JOURNAL))
    with closing(sqlite3.connect(folder / "relayd.db")) as db:
        db.executescript(TABLES.read_text("utf-8"))
    for file in folder.rglob("*"):
        if file.is_file():
            file.chmod(0o600)
