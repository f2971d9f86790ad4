"""What the handlers work with stands for the present configuration."""

from __future__ import annotations

from dataclasses import replace

from relayd.core.fleet import NO_FLEET
from relayd.ops.config import ConsoleConfig
from tests.console.conftest import Console


async def test_a_reload_is_seen_at_once(console: Console) -> None:
    services = console.services()
    assert services.config().console.url == ""
    console.config = replace(console.config, console=ConsoleConfig(url="https://c.example"))
    assert services.config().console.url == "https://c.example"


async def test_without_a_relay_there_is_an_empty_fleet(console: Console) -> None:
    assert console.services().relay() == NO_FLEET
