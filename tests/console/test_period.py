"""Links keep the rest of the query, and mark the span that is chosen."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from relayd.console import texts
from relayd.console.period import span_links
from relayd.core.series import SPANS


def test_every_span_has_a_link() -> None:
    visit = cast(Any, SimpleNamespace(t=lambda name: texts.text("zh", name)))
    links = span_links(visit, "/usage", "30d", by="a&b")
    assert [link.path for link in links] == [f"/usage?span={span}&by=a%26b" for span in SPANS]
    assert [link.chosen for link in links] == [span == "30d" for span in SPANS]
    assert links[0].text == "24 小时"
