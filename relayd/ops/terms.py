"""What providers publish about content, by host: terms.toml, which comes with relayd.

Law: the configuration goes before it. What is on one's own network is under one's own policy,
which promises not to train; of any other host that is not listed nothing is known.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Final

from relayd.core.provider import DataTerms
from relayd.ops.configfile_address import is_near

FILE_NAME: Final = "terms.toml"
OWN: Final = DataTerms("no")


@dataclass(frozen=True, slots=True)
class Published:
    """A host's terms as they stood on a day; `depends`: why it cannot be said whether it trains.

    A name that begins with `*.` is that of every host below it.
    """

    name: str
    terms: DataTerms
    stood: date
    depends: str = ""

    def is_of(self, host: str) -> bool:
        """Whether these are the host's."""
        return host.endswith(self.name[1:]) if self.name[0] == "*" else host == self.name


@cache
def known() -> tuple[Published, ...]:
    """All of them."""
    found = tomllib.loads((files("relayd.ops") / FILE_NAME).read_text("utf-8"))
    return tuple(Published(
        each["name"], DataTerms(each["trains"], each.get("retention_days"), None,
                                each["policy_url"]), each["stood"], each.get("depends", ""))
                 for each in found["host"])


def published(host: str) -> Published | None:
    """What a host publishes, where that is known."""
    host = host.lower().rstrip(".")
    return next((each for each in known() if each.is_of(host)), None)


def terms_of(host: str) -> DataTerms:
    """The terms of a provider at this host, where its operator says nothing."""
    found = published(host)
    if found is not None:
        return found.terms
    return OWN if is_near(host) else DataTerms()
