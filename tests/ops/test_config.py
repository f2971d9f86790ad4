"""The configuration as values: frozen, every limit with a name and a default."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from relayd.core.provider import Address, Provider
from relayd.ops.config import (
    Config, LimitsConfig, MeteringConfig, PrivacyConfig, RetentionConfig, ServerConfig,
    StoreConfig, TlsFiles, adoptable,
)

CREDENTIAL = "sk-canary"
MADE: list[Any] = [
    Config({}, ()), ServerConfig(), StoreConfig(), MeteringConfig(), LimitsConfig(),
    PrivacyConfig(), RetentionConfig(), TlsFiles("a", "b"),
]


@pytest.mark.parametrize("made", MADE, ids=lambda made: type(made).__name__)
def test_values_are_frozen(made: Any) -> None:
    for field in dataclasses.fields(made):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(made, field.name, None)
    with pytest.raises((AttributeError, TypeError)):
        made.something_new = 1


def test_nothing_is_reachable_from_elsewhere_by_default() -> None:
    config = Config({}, ())
    every = (*config.server.listen, config.ops_listen, config.console_listen)
    assert all(where.startswith("127.0.0.1:") for where in every)
    assert config.server.cors_origins == () and config.server.trusted_proxies == ()


def test_privacy_is_the_strictest_that_works_by_default() -> None:
    privacy = PrivacyConfig()
    assert (privacy.end_user, privacy.unknown_fields, privacy.remote_mcp) == (
        "absent", "drop", "off")
    assert privacy.pass_fields == {} and privacy.cache_key == "hashed"


@pytest.mark.parametrize("name", [
    "max_body_bytes", "drain_seconds", "head_bytes_max", "header_count_max", "target_bytes_max",
    "header_seconds", "body_seconds", "idle_seconds", "heartbeat_seconds", "connections_max",
    "write_buffer_bytes", "json_reply_bytes_max",
])
def test_every_limit_is_set(name: str) -> None:
    value = getattr(ServerConfig(), name)
    assert type(value) in (int, float) and value > 0


def test_limits_fit_each_other() -> None:
    server = ServerConfig()
    assert server.target_bytes_max < server.head_bytes_max < server.write_buffer_bytes
    assert server.heartbeat_seconds < server.idle_seconds < server.body_seconds


def test_credentials_are_in_no_repr() -> None:
    provider = Provider("p", "openai", Address("https", "h", 443, ""), (CREDENTIAL,),
                        proxy=f"http://u:{CREDENTIAL}@p:1")
    assert CREDENTIAL not in repr(Config({"p": provider}, ()))


def test_two_configurations_share_nothing_that_changes() -> None:
    assert PrivacyConfig().pass_fields is not PrivacyConfig().pass_fields


def test_what_a_running_process_can_take_and_what_needs_a_restart() -> None:
    running = Config({}, ())
    wanted = Config(
        {}, (), log_level="debug", ops_listen="127.0.0.1:1", store=StoreConfig("elsewhere"),
        server=ServerConfig(("127.0.0.1:2",), tls=TlsFiles("a", "b"), calls_max=7),
        metering=MeteringConfig("audit", sync_ms=0),
        privacy=PrivacyConfig(wipe_memory=True, training="lenient"))
    adopted, fixed = adoptable(running, wanted)
    assert set(fixed) == {"listen", "tls", "ops_listen", "store", "metering",
                          "wipe_memory"}
    assert (adopted.log_level, adopted.server.calls_max, adopted.metering.mode) == (
        "debug", 7, "audit")
    assert (adopted.server.listen, adopted.server.tls, adopted.metering.sync_ms) == (
        running.server.listen, None, 50)
    assert (adopted.ops_listen, adopted.store) == (running.ops_listen, running.store)
    assert (adopted.privacy.training, adopted.privacy.wipe_memory) == ("lenient", False)
    assert adoptable(running, running) == (running, ())
