"""`[routes."MODEL"]` of a configuration: model names and patterns, each with its deployments.

Law: a route that could not be dispatched (no deployment, an unknown provider) is a fault.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from relayd.core.route import Deployment, Route
from relayd.ops.configfile_fault import nearest
from relayd.ops.configfile_section import Section
from relayd.wire.dialect import MODEL_NAME

WEIGHT_MAX: Final = 1_000_000
PRIORITY_MAX: Final = 1_000
DEPLOYMENTS_MAX: Final = 1_000
_PATTERN: Final = re.compile(r"(?=[^*]*\*)[A-Za-z0-9*._:/@+-]{1,256}")


def read_routes(section: Section, providers: Collection[str]) -> tuple[Route, ...]:
    """Routes in the file's order; deployments with faults are left out."""
    routes = []
    for pattern in section.values:
        table = section.table(pattern)
        if not (MODEL_NAME.fullmatch(pattern) or _PATTERN.fullmatch(pattern)):
            section.fault(pattern, "is not a model name or a pattern",
                          "Letters, digits and ._:/@+- ; * stands for any text")
        routes.append(Route(pattern, _deployments(table, providers)))
        table.done({"deployment": "deployments", "providers": "deployments",
                    "provider": "deployments"})
    return tuple(routes)


def _deployments(table: Section, providers: Collection[str]) -> tuple[Deployment, ...]:
    items = table.tables("deployments")
    if not items and table.raw("deployments") in (None, []):
        table.fault("deployments", "names no deployment",
                    'Write deployments = [ { provider = "NAME" } ]')
    if len(items) > DEPLOYMENTS_MAX:
        table.fault("deployments", f"has more than {DEPLOYMENTS_MAX} items")
    return tuple(found for item in items if (found := _deployment(item, providers)) is not None)


def _deployment(item: Section, providers: Collection[str]) -> Deployment | None:
    provider = item.text("provider")
    if provider is None and not item.has("provider"):
        item.fault("provider", "is missing", nearest("", providers))
    if provider is not None and provider not in providers:
        item.fault("provider", "is not one of [providers]", nearest(provider, providers))
    model = item.text("model")
    if model is not None and not MODEL_NAME.fullmatch(model):
        item.fault("model", "is not a model name", "Letters, digits and ._:/@+- ; no pattern here")
    weight = item.integer("weight", 1, 1, WEIGHT_MAX)
    priority = item.integer("priority", 1, 1, PRIORITY_MAX)
    item.done({"name": "provider", "alias": "model"})
    return None if provider is None else Deployment(provider, model, weight, priority)
