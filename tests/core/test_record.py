"""The call record has the fields of the contract, in its order."""

from relayd.core.record import PRICED_ONLY, CallRecord

CONTRACT = """id started_at account key app api endpoint model provider provider_model stream
status outcome error attempts input_tokens output_tokens cache_read_input_tokens
cache_creation_input_tokens reasoning_output_tokens audio_input_tokens audio_output_tokens
counted_input_tokens counted_output_tokens usage_source amount_nano currency first_byte_ms
duration_ms""".split()


def test_fields() -> None:
    stored = [name.replace("started_at_ms", "started_at") for name in CallRecord.__struct_fields__]
    assert stored == [*CONTRACT, *PRICED_ONLY]
