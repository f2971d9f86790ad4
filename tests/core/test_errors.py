"""The table of errors is closed, complete and fit to be shown."""

import pytest

from relayd.core.errors import ERRORS, RelayError


@pytest.mark.parametrize("code", sorted(ERRORS))
def test_each_row_says_what_to_do(code: str) -> None:
    kind = ERRORS[code]
    assert kind.code == code
    assert 400 <= kind.status <= 599
    assert kind.message.endswith(".") and kind.message[0].isupper()
    assert kind.side in ("client", "relay", "upstream")


def test_an_error_takes_its_status_from_its_row_unless_told() -> None:
    assert RelayError("unknown_model").status == 404
    assert RelayError("provider_failed", status=529).status == 529


def test_an_error_carries_no_text_but_its_code() -> None:
    error = RelayError("invalid_field", param="messages")
    assert str(error) == "invalid_field"
    assert error.param == "messages"


def test_an_unknown_code_is_a_defect() -> None:
    with pytest.raises(KeyError):
        RelayError("no_such_code")


@pytest.mark.parametrize(("given", "ms", "seconds"), [
    ({}, None, None), ({"retry_after_seconds": 2}, 2000, 2), ({"retry_after_ms": 1000}, 1000, 1),
    ({"retry_after_ms": 1001}, 1001, 2), ({"retry_after_ms": 1}, 1, 1),
])
def test_a_wait_is_told_in_whole_seconds_and_none_too_early(
    given: dict[str, int], ms: int | None, seconds: int | None
) -> None:
    error = RelayError("rate_limited", **given)  # type: ignore[arg-type]
    assert (error.retry_after_ms, error.retry_after_seconds) == (ms, seconds)
    assert (error.detail, error.close) == ("", False)
    told = RelayError("rate_limited", detail="Two.", close=True)
    assert (told.detail, told.close, told.args) == ("Two.", True, ("rate_limited",))
