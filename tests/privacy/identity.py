"""What identifies a client: names of header and body fields, and strategies that mix them.

The names are those that SDKs, browsers, proxies, clouds and tracing libraries send, as families: a
prefix and its endings. There are more than 500.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

FAMILIES = {
    "x-forwarded-": "for host proto port server prefix user email groups access-token path uri "
                    "client-cert ssl scheme by preferred-username",
    "x-": "real-ip client-ip cluster-client-ip original-forwarded-for original-url original-host "
          "envoy-external-address envoy-peer-metadata request-id correlation-id trace-id span-id "
          "session-id device-id user-id account-id tenant-id organization-id project-id app-id "
          "api-version amzn-trace-id cloud-trace-context csrf-token requested-with title "
          "client-request-id client-data client-name client-version client-platform "
          "client-language client-timezone client-country app app-version app-platform install-id "
          "machine-id fingerprint visitor-id anonymous-id b3-traceid b3-spanid b3-sampled "
          "datadog-trace-id datadog-parent-id datadog-origin newrelic-id sentry-auth ms-client-ip "
          "wap-profile att-deviceid csa-complaints mailer timezone locale screen referer origin "
          "goog-api-client goog-user-project goog-request-params goog-authenticated-user-email "
          "goog-iap-jwt-assertion goog-ext-id github-user gitlab-user jupyter-user k8s-pod "
          "k8s-namespace hostname workspace repository branch commit editor extension plugin "
          "session-affinity browser-id browser-channel browser-year browser-validation "
          "claude-code-session-id claude-remote-session-id codex-window-id codex-turn-metadata "
          "codex-beta-features codex-installation-id cursor-checksum cursor-client-version "
          "ghost-mode copilot-client openai-client-user-agent openai-subagent anthropic-billing "
          "vercel-id vercel-ip-country vercel-ip-city vercel-ip-latitude vercel-deployment-url "
          "nf-client-connection-ip fly-request-id render-origin azure-ref azure-clientip "
          "azure-socketip appengine-user-ip appengine-country appengine-city "
          "appengine-citylatlong",
    "x-stainless-": "lang package-version os arch runtime runtime-version retry-count async "
                    "read-timeout timeout raw-response helper-method stream-helper "
                    "poll-helper custom-poll-interval helper",
    "x-amz-": "date security-token user-agent content-sha256 cf-id invocation-type",
    "x-amzn-": "requestid oidc-data oidc-identity oidc-accesstoken mtls-clientcert bedrock-trace",
    "x-ms-": "client-request-id client-principal client-principal-name client-principal-id "
             "useragent correlation-request-id session-id activity-id version-build",
    "cf-": "connecting-ip connecting-ipv6 ipcountry ray visitor worker ew-via "
           "access-jwt-assertion access-client-id access-authenticated-user-email pseudo-ipv4 "
           "timezone iplatitude "
           "iplongitude ipcity region postal-code",
    "sec-ch-ua-": "arch bitness full-version full-version-list mobile model platform "
                  "platform-version wow64 form-factors",
    "sec-": "ch-ua fetch-dest fetch-mode fetch-site fetch-user gpc purpose browsing-topics "
            "shared-storage-writable ch-prefers-color-scheme ch-viewport-width ch-width",
    "true-": "client-ip",
    "fastly-": "client-ip ff ssl temp-xff",
    "akamai-": "origin-hop user-risk bot",
    "uber-": "trace-id ctx-user ctx-session",
    "ot-": "tracer-traceid tracer-spanid tracer-sampled baggage",
    "elastic-apm-": "traceparent tracestate",
    "openai-": "organization project conversation-id ephemeral-user-id intent sentinel",
    "anthropic-": "dangerous-direct-browser-access user-id workspace-id organization-id "
                  "client-sha",
    "litellm-": "user team session tags",
    "langfuse-": "session-id user-id trace-id trace-name tags",
    "helicone-": "user-id session-id session-name session-path property-team auth request-id",
    "traceloop-": "association user session",
    "mlflow-": "run-id experiment user",
    "wandb-": "run entity project",
    "idempotency-": "key",
    "proxy-": "authorization client-ip user",
    "": "user-agent accept accept-language accept-encoding accept-charset cookie cookie2 referer "
        "origin from via forwarded client-ip dnt save-data downlink ect rtt device-memory dpr "
        "viewport-width width priority pragma cache-control if-none-match if-modified-since range "
        "te traceparent tracestate baggage b3 sentry-trace newrelic request-id correlation-id "
        "session-id session_id thread-id conversation-id originator version http-referer app-name "
        "user-id device-id client-version date warning max-forwards link content-language "
        "content-md5 content-location content-disposition digest signature signature-input "
        "authorization-info remote-addr remote-user remote-host ssl-client-cert "
        "ssl-client-s-dn early-data upgrade-insecure-requests purpose service-worker "
        "x-relay-tag api-client ms-cv ms-correlationid keep-alive alt-used cdn-loop",
}
LETTERS = {"x-client-": "abcdefghijklmnopqrstuvwxyz", "x-trace-": "abcdefghijklmnopqrstuvwxyz",
           "x-user-": "abcdefghijklmnopqrstuvwxyz", "x-telemetry-": "abcdefghijklmnopqrstuvwxyz",
           "x-device-": "abcdefghijklmnopqrstuvwxyz", "x-edge-": "abcdefghijklmnopqrstuvwxyz",
           "x-origin-": "abcdefghijklmnopqrstuvwxyz"}
NAMES = sorted({prefix + ending for prefix, endings in FAMILIES.items()
                for ending in endings.split()}
               | {prefix + letter for prefix, letters in LETTERS.items() for letter in letters})

VALUE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7e), min_size=1, max_size=40
                ).map(str.strip).filter(bool)
TOKEN = st.text("abcdefghijklmnopqrstuvwxyz-_0123456789", min_size=1, max_size=20)
UNKNOWN = TOKEN.map("x-zz-{}".format)
"""Names that nobody has heard of."""

SCALAR = st.none() | st.booleans() | st.integers(-10, 10) | st.text(max_size=10)
VALUES = SCALAR | st.lists(SCALAR, max_size=3) | st.dictionaries(TOKEN, SCALAR, max_size=3)
WORDS = st.text(min_size=1, max_size=20)

BODY_FIELDS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "chat": {"user": WORDS, "safety_identifier": WORDS, "store": st.booleans(),
             "metadata": st.dictionaries(TOKEN, WORDS, max_size=3), "prompt_cache_key": WORDS},
    "responses": {"user": WORDS, "safety_identifier": WORDS, "store": st.booleans(),
                  "metadata": st.dictionaries(TOKEN, WORDS, max_size=3),
                  "prompt_cache_key": WORDS},
    "messages": {"metadata": st.fixed_dictionaries({"user_id": WORDS})},
    "generate": {"labels": st.dictionaries(TOKEN, WORDS, max_size=3)},
}
"""The fields of each API that say who asks, and what they may hold."""


def _cased(name: str, upper: list[bool]) -> str:
    return "".join(c.upper() if up else c for c, up in zip(name, upper * len(name)))


HEADERS = st.lists(
    st.tuples(
        st.builds(_cased, st.sampled_from(NAMES) | UNKNOWN,
                  st.lists(st.booleans(), min_size=1, max_size=5)),
        VALUE),
    max_size=30)
"""Fields that identify, in any casing and order, repeated or not."""


def body_fields(operation: str) -> st.SearchStrategy[dict[str, Any]]:
    """Fields that identify, and fields that no table knows."""
    known = st.fixed_dictionaries({}, optional=BODY_FIELDS[operation])
    unknown = st.dictionaries(TOKEN.map("zz_{}".format), VALUES, max_size=4)
    return st.builds(lambda one, other: {**one, **other}, known, unknown)
