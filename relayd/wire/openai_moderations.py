"""The fields of POST /v1/moderations (type definitions of openai-python 3.57)."""

from __future__ import annotations

from typing import Final

from relayd.wire.fields import Shape, Table, by_name, items

TABLE: Final = Table({
    "model": None,
    "input": items(Shape({"type": None, "text": None, "image_url": by_name}).put),
}, default_model="omni-moderation-latest")
"""The model may be left out: the API's own default is named then, so that it is routed."""
