"""The call record has the fields of the contract, in its order."""

import msgspec

from relayd.core.record import PRICED_ONLY, CallRecord

CONTRACT = """id started_at account key app api endpoint model provider provider_model stream
status outcome error attempts input_tokens output_tokens cache_read_input_tokens
cache_creation_input_tokens reasoning_output_tokens audio_input_tokens audio_output_tokens
counted_input_tokens counted_output_tokens usage_source amount_nano currency first_byte_ms
duration_ms""".split()


def test_fields() -> None:
    stored = [name.replace("started_at_ms", "started_at") for name in CallRecord.__struct_fields__]
    assert stored == [*CONTRACT, *PRICED_ONLY]


def test_what_an_older_journal_does_not_say_is_nothing() -> None:
    """An array without the last six, as an older version wrote it, is billed as it was then."""
    old = CallRecord(
        "call_1", 0, "acct_1", "key_1", None, "openai", "chat", "m", "p", "m", False, 200,
        "completed", None, 1, 5, 2, 0, 0, 0, 0, 0, None, None, "reported", 0, "USD", 1.0, 2.0)
    array = msgspec.json.decode(msgspec.json.encode(old))[:-len(PRICED_ONLY)]
    found = msgspec.convert(array, CallRecord)
    assert found == old
    assert {name: getattr(found, name) for name in PRICED_ONLY} == {
        "cache_creation_1h_input_tokens": 0, "image_input_tokens": 0, "image_output_tokens": 0,
        "images": 0, "audio_seconds": 0, "searches": 0}
