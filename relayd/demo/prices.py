"""The demo's prices: round figures in the manner of a price file, so that usage shows amounts.

Law: nobody's real prices (config/prices.toml has those); every model of the demo has one.
"""

from __future__ import annotations

from typing import Final

from relayd.core.price import PriceBook
from relayd.ops.pricefile import read_prices

PRICES: Final = """\
# Written by relayd demo, at every start: invented prices, in units for 1,000,000 tokens.
# Real list prices are in config/prices.toml of the source.
currency = "CNY"

[[price]]
models = ["gpt-*", "chatgpt-*", "codex-*", "o*"]
input = "1.25"
output = "10"
cache_read = "0.125"

[[price]]
models = ["gpt-*-mini*", "o*-mini*"]
input = "0.25"
output = "2"
cache_read = "0.025"

[[price]]
model = "claude-*"
input = "3"
output = "15"
cache_read = "0.30"
cache_creation = "3.75"
cache_creation_1h = "6"

[[price]]
models = ["gemini-*", "gemma-*"]
input = "0.30"
output = "2.50"
cache_read = "0.03"
audio_input = "1"
tiers = [ { above = 200000, input = "0.60", output = "3.75", cache_read = "0.06" } ]

[[price]]
models = ["text-embedding-*", "gemini-embedding-*"]
input = "0.02"

[[price]]
models = ["gpt-image-*", "dall-e-*"]
input = "5"
image = "0.04"

[[price]]
models = ["whisper-*", "gpt-*-transcribe"]
audio_minute = "0.006"

[[price]]
models = ["tts-*", "gpt-*-tts"]
call = "0.01"

[[price]]
model = "rerank*"
call = "0.002"

[[price]]
models = ["omni-moderation-*", "text-moderation-*"]
call = "0"

[[price]]
models = ["demo", "demo-*", "fake*"]
input = "1"
output = "4"
"""


def demo_prices() -> PriceBook:
    """The same as a book."""
    return read_prices(PRICES).book
