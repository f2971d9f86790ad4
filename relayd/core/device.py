"""The coarse device: what a list of sessions says of a browser, in a closed vocabulary.

Law: a user agent is read here and dropped; what is left are two of these words.
"""

from __future__ import annotations

from typing import Final


UNKNOWN: Final = "other"
SYSTEMS: Final[tuple[tuple[str, str], ...]] = (
    # in this order: an Android says Linux too, an iPad says Mac OS X
    ("Android", "Android"), ("iPhone", "iOS"), ("iPad", "iOS"), ("Windows", "Windows"),
    ("CrOS", "ChromeOS"), ("Mac OS X", "macOS"), ("Linux", "Linux"),
)
PROGRAMS: Final[tuple[tuple[str, str], ...]] = (
    # in this order: most of them say Chrome and Safari too
    ("Edg", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("FxiOS/", "Firefox"),
    ("Chrome/", "Chrome"), ("CriOS/", "Chrome"), ("Safari/", "Safari"), ("curl/", "curl"),
    ("python", "Python"), ("Python", "Python"), ("aiohttp", "Python"), ("node", "Node"),
)
AGENT_CHARS_MAX: Final = 512


def device(agent: str) -> str:
    """For example `Firefox on Linux`; `other` where nothing is known."""
    agent = agent[:AGENT_CHARS_MAX]
    program = next((name for mark, name in PROGRAMS if mark in agent), UNKNOWN)
    system = next((name for mark, name in SYSTEMS if mark in agent), "")
    return f"{program} on {system}" if system else program


def known(text: str) -> bool:
    """Whether a text is one that `device` may say."""
    programs = {name for _, name in PROGRAMS} | {UNKNOWN}
    systems = {name for _, name in SYSTEMS}
    program, on, system = text.partition(" on ")
    return program in programs and (system in systems if on else True)
