"""How much work a run is. Fixed amounts: figures of two runs compare only with equal settings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

OUT: Final = Path(__file__).resolve().parent / "out"


@dataclass(frozen=True, slots=True)
class Settings:
    """Counts of one round, for each peer."""

    name: str = "full"
    rounds: int = 5
    pace_ms: float = 2.0
    events: int = 64
    json_calls: int = 3000
    json_connections: int = 16
    streams: int = 64
    streams_at_once: int = 8
    agent_calls: int = 400
    agent_connections: int = 4
    latency_rounds: int = 5
    latency_calls: int = 2000
    latency_per_second: float = 500.0
    latency_streams: int = 40
    latency_streams_per_second: float = 16.0
    held_connections: int = 2000
    held_streams: int = 5000
    idle_rounds: int = 3
    idle_connections: int = 100
    idle_seconds: float = 10.0
    idle_settle_seconds: float = 5.0
    slow_rounds: int = 3
    slow_streams: int = 5000
    slow_idle: int = 2000
    slow_tricklers: int = 500
    slow_pace_ms: float = 2000.0
    slow_calls: int = 2000
    slow_per_second: float = 200.0
    slow_settle_seconds: float = 5.0
    settle_seconds: float = 1.3
    """After the last call of a round: relayd writes its records once a second."""
    without_nginx: bool = False
    cache: Path = OUT / "nginx"

    @property
    def folder(self) -> Path:
        """Where the results of such a run are kept."""
        return OUT / self.name


FULL: Final = Settings()
QUICK: Final = replace(
    FULL, name="quick", rounds=2, json_calls=1500, streams=24, agent_calls=100,
    latency_rounds=2, latency_calls=500, latency_streams=10, held_connections=500,
    held_streams=1000, idle_rounds=1, slow_rounds=1, slow_calls=1000)
SMOKE: Final = replace(
    FULL, name="smoke", rounds=1, json_calls=64, streams=4, streams_at_once=2, agent_calls=8,
    latency_rounds=1, latency_calls=50, latency_streams=2, held_connections=16, held_streams=16,
    idle_rounds=1, idle_connections=4, idle_seconds=2.0, idle_settle_seconds=0.1,
    slow_rounds=1, slow_streams=20, slow_idle=8, slow_tricklers=4, slow_calls=50,
    slow_settle_seconds=0.5, settle_seconds=0.1, without_nginx=True)
