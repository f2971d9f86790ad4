"""States of the fleet are those of a deployment's health."""

from __future__ import annotations

from typing import get_args

import msgspec

from relayd.core.fleet import NO_FLEET, Fleet, Standing
from relayd.core.health import State


def test_every_state_has_its_word() -> None:
    assert set(get_args(Standing)) == {state.value for state in State}


def test_a_fleet_goes_through_json() -> None:
    assert msgspec.json.decode(msgspec.json.encode(NO_FLEET), type=Fleet) == NO_FLEET
