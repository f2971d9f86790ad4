"""The fields of POST /v1/embeddings (type definitions of openai-python 3.57)."""

from __future__ import annotations

from typing import Final

from relayd.wire.fields import Table, number
from relayd.wire.openai_tools import END_USER, end_user

TABLE: Final = Table({
    "model": None,
    "input": None,
    "dimensions": number,
    "encoding_format": None,
    "user": END_USER["user"],
}, end_user)
