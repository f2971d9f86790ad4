"""A provider's errors pass byte for byte, unless they name the operator."""

from __future__ import annotations

import json
import re
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relayd.core.errors import ERRORS
from relayd.core.provider import Api
from relayd.wire import provider_error as module
from relayd.wire.provider_error import (
    PUBLIC_HOSTS, REASONS, Verdict, asked_delay, judge, names_operator, words_of,
)
from tests.shared import known_collection, shared

SECRETS = (
    b"sk-operator-credential", b"internal-gw.example.net", b"vllm", b"api.openai.com", b"ab")


def openai_error(message: str, **more: object) -> bytes:
    return json.dumps({"error": {"message": message, **more}}).encode()


@pytest.mark.parametrize("message", [
    "Use version 1.10.2 of the corporate SDK, local time 10.30",
    # what agents act on, or what tells a client of its own request
    "This model's maximum context length is 128000 tokens. However, you requested 130001 tokens.",
    "prompt is too long: 208310 tokens > 200000 maximum",
    "input length and `max_tokens` exceed context limit: 198000 + 21333 > 200000",
    "anthropic-beta: Unexpected value(s) `context-1m-2025-08-07` for the `anthropic-beta` header",
    "Your organization must be verified to use the model `gpt-image-1`.",
    "The model `gpt-9` does not exist or you do not have access to it.",
    "You exceeded your current quota, please check your plan and billing details.",
    "This request would exceed your account's rate limit. Please try again later.",
    "messages.3.content.0: `tool_use_id` toolu_01ABCDEFGHIJKLMNOPQRSTUV not found",
    "Invalid token in prompt: 123456. Minimum value is 0.",
    "Incorrect API key provided: ***********. You can find your API key in the console.",
    "API key not valid. Please pass a valid API key.",
    "Error while downloading https://example.com/projects/image.jpg.",
    "An org-structured project with 4 teams at risk-free prices",
    "Unknown name \"project\" at 'generation_config': Cannot find field.",
    "See https://api.openai.com/docs or vllm's documentation; ab is too short to be a secret.",
    "Unsupported parameter: 'user'.", "customer 12 of account 7 said a****",
    "Model not found: accounts/fireworks/models/llama-v9", "write an e-mail to you@example.com",
    "If it persists, email support@provider.example or see the account 'settings' page.",
    "group 7 has zip 12.3.4.5 files, ip 4", "each team = one line of the team_id column",
])
def test_what_does_not_name_the_operator_passes(message: str) -> None:
    assert judge("openai", 400, openai_error(message), SECRETS) == Verdict(
        True, "provider_rejected")


@pytest.mark.parametrize("message, reason", [
    ("<!DOCTYPE html><html>Ray ID", "page"),
    ("connect to 10.1.2.3:8000 failed", "address"),
    ("no route to 172.31.0.9", "address"),
    ("Blocked. Your IP: 203.0.113.77", "address"),
    ("worker gpu-node-17.internal.corp is down", "internal_host"),
    ("upstream vllm-0.models.svc refused", "internal_host"),
    ("Rate limit reached for gpt-4o in organization org-AbC123dEf456 on tokens per min (TPM): "
     "Limit 30000, Used 29000", "organization"),
    ("in organization `org_01hxyzabcdefgh` service tier `on_demand`", "organization"),
    ("Rate limit reached in organization org-abcdefghijklmnopqrst", "organization"),
    ("Organization 'Acme Inc' has been disabled", "organization_named"),
    ("exceed your rate limit of 40,000 input tokens per minute (org: 7a3f, model: x)",
     "organization_named"),
    ("Project `proj_AbC123` does not have access to model", "project"),
    ("Generative Language API has not been used in project 123456789 before", "project_number"),
    ("Quota exceeded for consumer 'project_number:987654321'", "project_number"),
    ("Permission denied on resource projects/123456789", "project_number"),
    ("Publisher Model `projects/acme-prod/locations/us-central1/x` was not found", "project_path"),
    ("workspace wrkspc_01JwQvzr7rXLA5AGx3HKfFUJ is over its limit", "workspace"),
    ("limit reached for user-AbCdEfGhIjKlMnOpQrStUvWx", "user"),
    ("Your team 5d6f8a2c-1111-4222-8333-123456789abc has used all available credits", "account"),
    ("The account 2100123456 has an overdue balance", "account"),
    ("customer acct_1AbCdEf2 is past due", "account"),
    ("Function 'f': Not found for account 'q-RmuI_abc'", "account"),
    ("Model not found, inaccessible, and/or not deployed: accounts/acme/deployments/d", "account"),
    ("Workspace access denied. workspace id ws-8f7a6b5c", "account"),
    ("Invalid GroupId 1782658868262748467", "account"),
    ("Budget has been exceeded! Team=acme-research Current cost: 10.0", "account_named"),
    ("Received Model Group=x team_id=acme key_alias=relay", "account_named"),
    ("Your email address ops@acme.example is not verified.", "account_named"),
    ("The IP address 203.0.113.77 is not on the allowlist", "address"),
    ("User: arn:aws:iam::123456789012:user/relay is not authorized", "cloud_path"),
    ("/subscriptions/5d6f8a2c-1111-4222-8333-123456789abc/x", "cloud_path"),
    ("The resource /resourceGroups/acme-ai was not found", "cloud_path"),
    ("Incorrect API key provided: sk-abc***xyz.", "key"),
    ("Incorrect API key provided: test-con****-key.", "key_masked"),
    ("invalid key ****WXYZ", "key_masked"),
    ("Incorrect API key provided: my_key-1.", "key_echoed"),
    ("API key AIzaSyD-1234 expired", "key"),
    ("gsk_abcdef123456 is not valid", "key"),
    ("Invalid header: Bearer eyJhbGciOiJIUzI1NiJ9", "key"),
    ("Could not reach https://acme-east.openai.azure.com/openai", "host"),
    ("credential sk-operator-credential refused", "secret"),
    ("dial tcp: lookup internal-gw.example.net: no such host", "secret"),
    ("connect to http://vllm/v1 failed", "secret"), ("connect to vllm:8000 failed", "secret"),
])
@pytest.mark.parametrize("status", [400, 401, 403, 429, 500])
def test_what_names_the_operator_does_not_pass(message: str, reason: str, status: int) -> None:
    verdict = judge("openai", status, openai_error(message), SECRETS)
    assert not verdict.passes and verdict.reason == reason
    assert verdict.reason in REASONS and verdict.code in ERRORS


# none of "key_echoed": its look-aheads cannot be drawn
@pytest.mark.parametrize("reason", sorted(REASONS - {"secret", "key_echoed"}))
@settings(max_examples=40, suppress_health_check=[HealthCheck.filter_too_much])
@given(st.data())
def test_no_pattern_is_hidden_by_what_is_looked_for_before_it(
    reason: str, data: st.DataObject
) -> None:
    pattern = next(pattern for name, _, pattern in module._NAMES if name == reason)
    assert not judge("openai", 400, data.draw(st.from_regex(pattern, fullmatch=True)), ()).passes


@pytest.mark.parametrize("body", [
    b'{"error":{"message":"in project: projects\\/123456789"}}',
    b'{"error":{"message":"key \\u0073k-abcdef"}}',
    b'{"error":{"message":"\\ud83d projects\\/123456789"}}',
    b'{"error":{"message":"organization \\"Acme Inc\\" has been disabled"}}',
    b'{"error":{"message":"Organization ID: \\u0022acme\\u0022"}}',
    b'{"error":{"message":"account \\"123456789012\\" is past due"}}',
    b'{"error":{"message":"API key: \\"my_key-1\\""}}', b'{"error":{"message":"team=\\"acme\\""}}',
    b'{"error":{"message":"the e-mail \\"ops@acme.example\\""}}',
    b'{"error":{"message":"e-mail: <ops@acme.example>"}}',
    b'{"error":{"message":"IP \\"203.0.113.77\\" is blocked"}}',
    b'{"error":{"message":"refused:\\norg-AbC123dEf456\\nproject\\t123456789"}}',
    b'{"error":{"metadata":{"raw":"{\\"user_id\\":\\"user_2abcDEF\\"}"}}}',
    b'{"error":{"metadata":{"raw":"{\\"message\\":\\"account \\\\u0027Acme-Prod1\\\\u0027\\"}"}}}',
    b'{"error":{"message":"account \\u0027Acme-Prod1\\u0027 has', b'{"error":"key \\u0073k-abcdef',
    '{"error":{"message":"in org-AbC123dEf456"}}'.encode("utf-16"),
    b"<html>org-AbC123dEf456</html>", b"\x1f\x8b\x00 org-AbC123dEf456 \xff",
    b'event: error\ndata: {"error":{"message":"org-AbC123dEf456"}}\n\n',
    b'{"error":{"message":"too long"},"user_id":"user_2abcDEF"}',
    # the later of two members of one name is what a reader sees
    b'{"error":{"message":"org-AbC123dEf456"},"error":{"message":"too\\nlong"}}',
])
def test_neither_escapes_nor_formats_hide_it(body: bytes) -> None:
    assert not judge("openai", 400, body, ()).passes


@pytest.mark.parametrize("api, status, body, code", [
    ("openai", 400, b'{"error":{"message":"x","type":"invalid_request_error"}}',
     "provider_rejected"),
    ("openai", 401, b"", "provider_auth"),
    ("openai", 402, b'{"error":{"message":"Insufficient Balance"}}', "provider_quota"),
    ("openai", 403, b"<html>", "provider_forbidden"),
    ("openai", 404, b"{}", "provider_rejected"), ("openai", 408, b"", "provider_failed"),
    ("openai", 422, b'{"detail":[]}', "provider_rejected"),
    ("openai", 429, b'{"error":{"type":"tokens","code":"rate_limit_exceeded"}}',
     "provider_rate_limited"),
    ("openai", 429, b'{"error":{"type":"insufficient_quota","code":"insufficient_quota"}}',
     "provider_quota"),
    ("openai", 429, b'{"error":{"code":"1113","message":"x"}}', "provider_quota"),
    ("openai", 429, b'{"error":{"code":"1302","message":"x"}}', "provider_rate_limited"),
    ("openai", 400, b'{"code":"Arrearage","message":"x"}', "provider_quota"),
    ("openai", 401, b'{"code":"InvalidApiKey","message":"x"}', "provider_auth"),
    ("openai", 429, b'{"code":"Throttling.RateQuota","message":"x"}', "provider_rate_limited"),
    ("openai", 403, b'{"error":{"code":"AccountOverdueError"}}', "provider_quota"),
    ("openai", 401, b'{"error":{"message":"Unauthorized","type":"api_error"}}', "provider_auth"),
    ("openai", 500, b'{"error":{"type":"server_error"}}', "provider_failed"),
    ("openai", 500, b'{"error":{"type":"authentication_error"}}', "provider_failed"),
    ("openai", 400, b'{"error":"Incorrect API key provided."}', "provider_rejected"),
    ("openai", 200, b'{"base_resp":{"status_code":1002,"status_msg":"x"}}',
     "provider_rate_limited"),
    ("openai", 200, b'{"base_resp":{"status_code":1004,"status_msg":"x"}}', "provider_auth"),
    ("openai", 200, b'{"base_resp":{"status_code":1008,"status_msg":"x"}}', "provider_quota"),
    ("openai", 200, b'{"base_resp":{"status_code":2013,"status_msg":"x"}}', "provider_rejected"),
    ("openai", 200, b'{"error":{"code":502,"message":"x"}}', "provider_failed"),
    ("openai", 200, b'{"error":{"message":"x"}}', "provider_stream_error"),
    ("openai", 200, b'{"type":"error","code":"rate_limit_exceeded"}', "provider_rate_limited"),
    ("openai", 200, b'{"type":"response.failed","response":{"error":{"code":"server_error"}}}',
     "provider_failed"),
    ("anthropic", 529, b'{"type":"error","error":{"type":"overloaded_error"}}',
     "provider_failed"),
    ("anthropic", 429, b'{"type":"error","error":{"type":"rate_limit_error"}}',
     "provider_rate_limited"),
    ("anthropic", 200, b'{"type":"error","error":{"type":"overloaded_error"}}',
     "provider_failed"),
    ("anthropic", 400, b'{"type":"error","error":{"type":"invalid_request_error"}}',
     "provider_rejected"),
    ("anthropic", 400, b'{"type":"error","error":{"type":"invalid_request_error","message":'
     b'"Your credit balance is too low to access the Anthropic API."}}', "provider_quota"),
    ("anthropic", 400, b'{"type":"error","error":{"type":"invalid_request_error","message":'
     b'"tools.0.name: Your credit balance is too low"}}', "provider_rejected"),
    ("gemini", 400, b'{"error":{"code":400,"status":"INVALID_ARGUMENT","details":'
     b'[{"reason":"API_KEY_INVALID"}]}}', "provider_auth"),
    ("gemini", 429, b'[{"error":{"code":429,"status":"RESOURCE_EXHAUSTED"}}]',
     "provider_rate_limited"),
    ("gemini", 503, b'{"error":{"code":503,"status":"UNAVAILABLE"}}', "provider_failed"),
    ("gemini", 200, b'{"error":{"code":503,"status":"UNAVAILABLE"}}', "provider_failed"),
    ("gemini", 200, b"[]", "provider_stream_error"),
])
def test_codes_come_from_status_and_machine_words(
    api: Api, status: int, body: bytes, code: str
) -> None:
    assert judge(api, status, body, ()).code == code


WORDS = {"provider_auth": "authentication_error", "provider_rate_limited": "rate_limit_exceeded",
         "provider_quota": "insufficient_quota"}


@pytest.mark.parametrize(("code", "statuses"), [
    ("provider_auth", {400, 401, 403}), ("provider_rate_limited", {400, 403, 429, 503, 529}),
    ("provider_quota", {400, 401, 402, 403, 404, 408, 422, 429, 498, 500, 502, 503, 504, 529}),
])
def test_a_word_counts_under_a_status_of_its_class_alone(code: str, statuses: set[int]) -> None:
    body = openai_error("x", code=WORDS[code])
    bare = {status: judge("openai", status, b"{}", ()).code
            for status in (400, 401, 402, 403, 404, 408, 422, 429, 498, 500, 502, 503, 504, 529)}
    assert {status for status in bare if judge("openai", status, body, ()).code == code} == (
        statuses | {status for status, found in bare.items() if found == code})


@pytest.mark.parametrize(("body", "words"), [
    (openai_error("x", code="a", type="b"), {"a", "b"}),
    (b"[%b]" % openai_error("x", code="a"), {"a"}), (b"[]", set()), (b"", set()),
    (openai_error("prompt is too long: 208310 tokens > 200000 maximum", type="b"),
     {"b", "context_length_exceeded"}),
    (b'{"error":{"code":400,"status":"S","details":[1,{"reason":"R"},{"reason":2}]}}',
     {"400", "S", "R"}),
])
def test_the_words_of_an_error(body: bytes, words: set[str]) -> None:
    assert words_of(body) == words


@pytest.mark.parametrize("host", sorted(PUBLIC_HOSTS))
def test_a_public_host_is_a_name_of_a_provider(host: bytes) -> None:
    assert re.fullmatch(rb"[a-z.-]+[.](com|ai|io|cn|xyz)", host)


@pytest.mark.parametrize("text, names", [
    (b"", False), (b"context too long", False), (b"org-AbC123dEf456", True),
    (b"in org-AbC123dEf456", True), (b"internal-gw.example.net is gone", True),
])
def test_the_reason_of_a_close_is_judged_by_its_words(text: bytes, names: bool) -> None:
    assert names_operator(text, SECRETS) is names


REWRITTEN = {
    "openai.chat.completions.err.6ecc9db9": "key",
    "openai.responses.err.acaea7a6": "key_masked",
    "openrouter.chat.completions.err.25961b58": "user",
}


def test_recorded_errors_pass_but_for_those_that_name_somebody() -> None:
    known_collection("corpus", "cases")
    seen = {}
    for case in sorted(shared("corpus", "cases").glob("*.err.*")):
        status = json.loads((case / "response.json").read_text())["status"]
        verdict = judge("openai", status, (case / "response.raw").read_bytes(), ())
        assert verdict.code in ERRORS
        if not verdict.passes:
            seen[case.name] = verdict.reason
    assert seen == REWRITTEN


@pytest.mark.parametrize("bad", [
    "organization ", "*", "a-", "project ", " ", "org-", "api key ", "arn:aws:", "Bearer ",
])
def test_a_hostile_body_is_judged_in_linear_time(bad: str) -> None:
    body = ("organization project account api key arn:aws: .azure" + bad * 40_000).encode()
    begun = time.thread_time()
    judge("openai", 400, body, SECRETS)
    assert time.thread_time() - begun < 1.0  # quadratic would be minutes


@pytest.mark.parametrize("odd", [rb"\ud83d", b"\xff", b'","n":NaN,"m":"'])
def test_half_a_character_hides_no_word_of_an_error(odd: bytes) -> None:
    body = b'{"error":{"message":"%b","code":"insufficient_quota"}}' % odd
    assert "insufficient_quota" in words_of(body)
    assert judge("openai", 429, body, ()).code == "provider_quota"


def test_a_body_that_is_no_text_is_judged_all_the_same() -> None:
    assert judge("openai", 429, b'{"error":{"m\xdessage":"x"}}', ()) == Verdict(
        True, "provider_rate_limited")
    naming = b'{"error":{"\xff":"organization org-abcdefgh12345678"}}'
    assert not judge("openai", 429, naming, ()).passes


@pytest.mark.parametrize(("delay", "seconds"), [
    ("13s", 13.0), ("0.847655010s", 0.84765501), ("36405s", 36405.0), ("13", None), ("-1s", None),
    ("1e3s", None), (13, None), (None, None),
])
def test_a_wait_in_an_errors_body(delay: object, seconds: float | None) -> None:
    body = openai_error("no", details=[
        {"@type": "type.googleapis.com/google.rpc.Help", "links": []}, "odd",
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}])
    assert asked_delay(body) == asked_delay(b"[%b]" % body) == seconds
    for none in (b"", b"[]", b"{}", b'{"error":[]}', b'{"error":{"details":{}}}', b"\xff"):
        assert asked_delay(none) is None
