"""Every error the relay can answer with: one closed list, whose fault it is, whether to try again.

Law: a `RelayError` never carries text of a client or of a provider beyond a field name in `param`;
its message comes from this table, so it may be shown to the client and counted by its code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Side = Literal["client", "relay", "upstream"]


@dataclass(frozen=True, slots=True)
class ErrorKind:
    """One row of the table. `status` is the HTTP status before the first byte of a reply."""

    code: str
    status: int
    side: Side
    retryable: bool
    message: str


def _kinds(*rows: tuple[str, int, Side, bool, str]) -> dict[str, ErrorKind]:
    return {row[0]: ErrorKind(*row) for row in rows}


ERRORS: Final = _kinds(
    # the message could not be read as HTTP (RFC 9112); the connection is closed after the answer
    ("bad_http", 400, "client", False, "The request is not well-formed HTTP/1.1."),
    ("ambiguous_framing", 400, "client", False, "The length of the request is ambiguous."),
    ("bad_host", 400, "client", False, "The request needs exactly one valid Host field."),
    ("http_version", 505, "client", False, "Only HTTP/1.1 and HTTP/1.0 are served."),
    ("head_too_large", 431, "client", False,
     "The request's header fields are larger than this relay accepts."),
    ("target_too_long", 414, "client", False,
     "The request's URL is longer than this relay accepts."),
    ("expectation_failed", 417, "client", False,
     "Expect: 100-continue is the only expectation that is served."),
    ("upgrade_refused", 400, "client", False, "This connection cannot be upgraded."),
    ("websocket_not_served", 426, "client", False,
     "WebSocket is not served here: send the same request over HTTP with stream=true."),
    ("tls_required", 426, "client", False,
     "This request came without TLS, so others may have read its API key. Use https, and replace "
     "the key."),
    ("upgrade_required", 426, "client", False,
     "This path is served over WebSocket: connect to it with an upgrade (RFC 6455, version 13)."),
    ("request_timeout", 408, "client", True, "The request did not arrive in time."),
    # inside a WebSocket session
    ("unknown_event", 400, "client", False, "Events of this type are not served."),
    ("websocket_protocol", 400, "client", False,
     "The client broke the WebSocket protocol (RFC 6455), or sent too many pings."),
    ("session_too_long", 408, "client", True,
     "The session has reached the longest time that this relay allows. Open another one."),
    # what was asked for
    ("not_found", 404, "client", False,
     "This path is not served. Check the base URL: OpenAI clients want it with /v1, "
     "Anthropic and Gemini clients without."),
    ("method_not_allowed", 405, "client", False, "This path is not served with this method."),
    ("stateful_endpoint", 501, "client", False,
     "This endpoint would keep content at the provider under the operator's account. "
     "This relay does not serve it."),
    ("body_too_large", 413, "client", False,
     "The request body is larger than this relay accepts. Send less, or ask the operator."),
    ("unsupported_encoding", 415, "client", False,
     "Send the body uncompressed, or with Content-Encoding gzip or deflate."),
    ("unsupported_media_type", 415, "client", False,
     "This endpoint takes multipart/form-data with a boundary."),
    ("invalid_json", 400, "client", False, "The body is not valid JSON. Send one JSON object."),
    ("invalid_multipart", 400, "client", False, "The body is not valid multipart/form-data."),
    ("invalid_field", 400, "client", False, "A field has a value that this endpoint cannot take."),
    ("missing_model", 400, "client", False, "Name the model in the field 'model'."),
    ("unknown_field", 400, "client", False,
     "A field is not known for this endpoint, and the operator refuses unknown fields."),
    ("refused_field", 400, "client", False,
     "A field refers to content kept at the provider, or makes the provider contact others. "
     "This relay refuses it."),
    # who asks
    ("missing_key", 401, "client", False,
     "No API key. Send it as 'Authorization: Bearer sk-relayd-...'."),
    ("invalid_key", 401, "client", False,
     "This API key is not valid here. Check that it was copied whole, or create a new one."),
    ("expired_key", 401, "client", False, "This API key has expired. Create a new one."),
    ("account_suspended", 403, "client", False,
     "This account is suspended. Ask the operator of this relay."),
    ("model_not_allowed", 403, "client", False, "This API key may not use this model."),
    ("cross_border_consent_required", 403, "client", False,
     "This model's provider is outside China. The account's holder must agree to that first."),
    ("training_consent_required", 403, "client", False,
     "This model's provider trains on what it is sent, or may do so. The account's holder must "
     "agree to that first. Where the provider does not train, the operator of this relay sets "
     "`trains` for it."),
    ("unknown_model", 404, "client", False,
     "No route serves this model over this API. GET /v1/models lists those that are served."),
    # how much: the limits of an account, a key, a model (core/limit.py says which, in `detail`)
    ("rate_limited", 429, "client", True, "A limit per minute was reached."),
    ("concurrency_limited", 429, "client", True, "Too many calls are running at the same time."),
    ("budget_spent", 402, "client", False, "The budget is spent."),
    ("balance_held", 429, "client", True,
     "Running calls have reserved the rest of the balance. Try again when they have ended."),
    # the relay itself
    ("overloaded", 503, "relay", True, "The relay is at its limit. Try again shortly."),
    ("draining", 503, "relay", True, "The relay is restarting. Try again shortly."),
    ("journal_full", 503, "relay", True,
     "The relay cannot record calls now, so it serves none. Try again shortly."),
    ("daemon_died", 503, "relay", True, "The relay was killed while this call was running."),
    ("internal", 500, "relay", False,
     "The relay failed. Tell its operator the request id of this call."),
    # accounts and keys, as commands and the console manage them
    ("account_not_found", 404, "client", False, "There is no such account."),
    ("account_state", 409, "client", False,
     "The account's state does not allow this: an erased account stays erased."),
    ("email_taken", 409, "client", False, "Another account has this e-mail address."),
    ("invalid_email", 400, "client", False, "This is not an e-mail address."),
    ("invalid_time", 400, "client", False,
     "This is not a usable time, or too early or too late here. Write a date, an RFC 3339 time, "
     "or a span such as 7d or 24h; a month as 2026-10."),
    ("invalid_value", 400, "client", False,
     "This value cannot be used: it is empty, too long, out of its range, or has characters that "
     "cannot be shown."),
    ("bill_unreadable", 400, "client", False,
     "This is not a usage export that relayd can read, or a line of it is damaged. It reads "
     "OpenAI's usage export (CSV, or JSON of the usage API, grouped by model) and Anthropic's "
     "usage CSV (or JSON of the usage report, grouped by model)."),
    ("reason_missing", 400, "client", False, "A reason is required; it goes into the audit log."),
    ("event_not_found", 404, "client", False,
     "There is no such audit event, or it was deleted when its term was over."),
    ("event_unsigned", 409, "client", False,
     "This audit event is in no signed checkpoint yet. One is made within an hour."),
    ("key_not_found", 404, "client", False, "There is no such API key."),
    ("key_state", 409, "client", False, "This API key is revoked or has expired."),
    ("too_many_keys", 409, "client", False,
     "This account has as many API keys as it may have. Revoke one that is not used."),
    ("call_not_found", 404, "client", False, "There is no such call of this account."),
    # money: orders, payment partners, the ledger
    ("order_not_found", 404, "client", False, "There is no such order."),
    ("order_state", 409, "client", False, "The order's state does not allow this."),
    ("partner_not_found", 404, "client", False, "This way to pay is not available here."),
    ("payment_amount", 422, "client", False,
     "This amount cannot be paid here: it is too small, too large, or finer than the currency."),
    ("balance_short", 402, "client", False, "The balance does not cover this."),
    ("currency_mismatch", 409, "client", False, "These amounts are of different currencies."),
    ("invoice_not_found", 404, "client", False, "There is no such invoice."),
    ("invoice_state", 409, "client", False, "The invoice's state does not allow this."),
    ("month_open", 409, "client", False,
     "This month can be closed only from an hour after its end."),
    ("not_enterprise", 409, "client", False,
     "This account is not marked as a company's. The operator marks it on request."),
    ("pdf_missing", 501, "relay", False,
     "PDF is not set up here: print the page instead."),
    ("fapiao_not_found", 404, "client", False, "There is no such fapiao."),
    ("fapiao_state", 409, "client", False, "The fapiao's state does not allow this."),
    ("fapiao_amount", 422, "client", False,
     "The amount that is left of these orders for a fapiao is smaller than that."),
    ("fapiao_file", 422, "client", False,
     "This file cannot be read as a fapiao: it is damaged, too large, or of another format."),
    ("fapiao_mismatch", 422, "client", False,
     "This file belongs to another fapiao: the named field differs."),
    ("amount_range", 409, "relay", False, "This amount is larger than the ledger can hold."),
    ("idempotency_mismatch", 422, "client", False,
     "This idempotency key was used for another request already."),
    ("plan_not_found", 404, "client", False,
     "There is no such plan, or it cannot be chosen in this way."),
    ("subscription_state", 409, "client", False, "The subscription's state does not allow this."),
    ("code_not_usable", 404, "client", False,
     "There is no such code, it can no longer be redeemed, or it was redeemed by this account."),
    ("code_not_found", 404, "client", False, "There is no such code."),
    ("grant_not_found", 404, "client", False,
     "There is no such credit, or nothing is left of it."),
    ("card_number", 422, "client", False,
     "A field seems to hold a payment card number. Card numbers are not needed here and are not "
     "accepted."),
    ("invalid_uscc", 422, "client", False, "This is not a valid unified social credit code."),
    ("identity_off", 404, "client", False, "Identity verification is not set up here."),
    ("webhook_forged", 400, "client", False,
     "The message's signature is not the partner's."),
    ("webhook_stale", 400, "client", False, "The message was signed too long ago."),
    ("webhook_unreadable", 400, "client", False,
     "The message is signed, but it is of no kind that is known here."),
    ("undeclared_field", 500, "relay", False,
     "A field that is not declared would have been sent to a payment partner. Nothing was sent."),
    ("partner_failed", 502, "upstream", True,
     "The payment partner cannot be reached now. Try again shortly."),
    ("partner_refused", 502, "upstream", False,
     "The payment partner refused this. Tell the operator of this relay."),
    # signing in, and what is asked of whoever did
    ("weak_password", 422, "client", False,
     "This password is too easy to guess, or not 10 to 256 characters long. Choose a longer one, "
     "such as four words."),
    ("age_not_stated", 422, "client", False,
     "Confirm that you are old enough to use this service."),
    ("username_taken", 409, "client", False, "Another account has this username."),
    ("registration_closed", 403, "client", False,
     "Sign-up is closed. The operator creates accounts."),
    ("wrong_credentials", 401, "client", False, "The e-mail address or the password is wrong."),
    ("wrong_code", 401, "client", False, "This code is wrong, or was used already."),
    ("sign_in_slowed", 429, "client", True, "Too many attempts. Wait, then try again."),
    ("sign_in_busy", 503, "relay", True, "Too many people are signing in. Try again shortly."),
    ("token_not_usable", 410, "client", False,
     "This link was used already, has expired, or is not from here. Ask for a new one."),
    ("session_ended", 401, "client", False, "Sign in first."),
    ("proof_needed", 403, "client", False,
     "Confirm your password or passkey again, then repeat this."),
    ("factor_needed", 403, "client", False,
     "Operators need a second factor. Set one up in the settings first."),
    ("role_needed", 403, "client", False, "This needs a role that your account does not have."),
    ("factor_not_found", 404, "client", False, "There is no such second factor."),
    ("session_not_found", 404, "client", False, "There is no such session."),
    ("passkey_refused", 400, "client", False, "The passkey could not be checked. Try again."),
    # the console's forms
    ("page_not_found", 404, "client", False, "There is no such page."),
    ("invalid_form", 422, "client", False,
     "A field is missing, unknown, or has a value that it cannot take."),
    ("form_stale", 403, "client", False,
     "This form was not made for your session. Load the page again, then send it."),
    ("foreign_origin", 403, "client", False, "This request came from another site."),
    # consents, documents, mail
    ("consent_required", 422, "client", False,
     "Agree to the terms, to the privacy policy and to where data is processed. They are "
     "required for an account."),
    ("consent_missing", 403, "client", False, "The account has not agreed to this."),
    ("document_not_found", 404, "client", False,
     "There is no such document, or no such version of it."),
    ("document_state", 409, "client", False,
     "There is nothing to publish: the document has not changed since it was last published."),
    ("mail_not_found", 404, "client", False, "There is no such mail."),
    ("mail_state", 409, "client", False,
     "This mail was sent or withdrawn, and its content is deleted."),
    ("notice_not_found", 404, "client", False, "There is no such notice, or it has ended."),
    ("finding_not_found", 404, "client", False, "There is no such finding."),
    ("finding_state", 409, "client", False, "This finding has been decided already."),
    ("mail_disposable", 422, "client", False,
     "Disposable e-mail addresses are not accepted here. Use another one."),
    ("ticket_not_found", 404, "client", False, "There is no such ticket."),
    ("ticket_state", 409, "client", False, "This ticket is closed. Open another one."),
    ("tickets_open", 409, "client", False,
     "Too many tickets are open. Close one, or write in one of them."),
    ("erasure_not_found", 404, "client", False, "There is no such erasure."),
    ("erasure_state", 409, "client", False, "This erasure is over, or another is under way."),
    ("request_not_found", 404, "client", False, "There is no such lawful request."),
    ("request_state", 409, "client", False, "The request's state does not allow this."),
    ("two_persons", 403, "client", False,
     "This takes two people who are known in the same way: both by their accounts, or both by "
     "who signed in to the machine."),
    ("own_account", 403, "client", False,
     "This is about your own account. Another operator has to do it."),
    ("operator_account", 403, "client", False,
     "This account is an operator's: only security may do this, and nobody to an owner."),
    ("handover_not_found", 404, "client", False, "There is no such handover."),
    ("handover_state", 409, "client", False, "The handover's state does not allow this."),
    ("handover_early", 409, "client", False,
     "Account holders can still object, or have not all been told."),
    # the store
    ("store_busy", 503, "relay", True, "The store is busy. Try again shortly."),
    ("store_damaged", 503, "relay", False,
     "The store's file is damaged, or is not a database. Restore it from a backup."),
    ("store_failed", 503, "relay", True, "The store cannot be read or written."),
    ("store_in_use", 503, "relay", False,
     "Another relayd serves this store. Stop it, or set [store] shared = true for both."),
    ("store_not_empty", 409, "client", False,
     "There is a store already. With --replace it is kept under another name."),
    ("store_unfinished", 503, "relay", False,
     "A restore into this store was not finished. Run it again with --replace."),
    ("backup_damaged", 503, "relay", False,
     "This is not a backup of a store, or it is damaged. Nothing was changed. Use another "
     "backup."),
    ("store_newer", 503, "relay", False,
     "The store was written by a newer relayd. Install that version again, or a later one."),
    ("store_older", 503, "relay", False,
     "A daemon of an earlier relayd runs on this store. Restart that daemon: its start copies "
     "the store and upgrades it."),
    ("store_moved", 503, "relay", True,
     "The store's files are not where they were opened: they were moved, deleted or covered."),
    ("store_open_to_others", 503, "relay", False,
     "Others can write to the store's directory, or read its secret. "
     "Give the directory mode 0700 and the file 'secret' mode 0600."),
    ("store_permission", 503, "relay", False,
     "The store, or a file in it, belongs to another user. Run this as the store's user, or give "
     "it that file."),
    ("store_refused", 500, "relay", False, "The store refused this row."),
    ("store_secret", 503, "relay", False,
     "The store's file 'secret' is missing, damaged, or belongs to another store: "
     "without it no API key can be checked. Restore it from a backup."),
    ("store_master_key", 503, "relay", False,
     "The master key is missing, or is not the one that this store's data keys are encrypted "
     "with: without it no personal data can be read. Restore it from where it is kept."),
    ("store_keys", 503, "relay", False,
     "The store's file 'keys.db' is missing, empty or damaged: encrypted data in the store cannot "
     "be read. Restore it from where it is kept."),
    ("store_signing_key", 503, "relay", False,
     "The store's file 'signing.key' is damaged: nothing can be signed. Restore it from where it "
     "is kept, or delete it if it is lost."),
    ("data_key_gone", 410, "relay", False,
     "What was kept here has been erased: its data key was destroyed."),
    ("seal_broken", 500, "relay", False,
     "An encrypted value cannot be opened: it was changed, or moved from its place."),
    # the provider's side
    ("upstream_connect", 502, "upstream", True, "The provider could not be reached."),
    ("upstream_proxy", 502, "upstream", True,
     "The relay's proxy did not connect to the provider. Tell the operator of this relay."),
    ("upstream_tls", 502, "upstream", True, "No secure connection to the provider was possible."),
    ("upstream_reset", 502, "upstream", True, "The provider closed the connection."),
    ("upstream_protocol", 502, "upstream", False, "The provider's answer was not valid HTTP."),
    ("upstream_truncated", 502, "upstream", True, "The provider's answer ended early."),
    ("upstream_busy", 503, "upstream", True, "Too many calls to this provider are running."),
    ("upstream_down", 503, "upstream", True,
     "No provider of this model can be reached now. Try again shortly."),
    ("upstream_timeout", 504, "upstream", True, "The provider did not answer in time."),
    ("upstream_endless", 502, "upstream", False,
     "The provider's answer was longer than this relay accepts."),
    ("upstream_stalled", 504, "upstream", True, "The provider stopped sending."),
    # the provider answered with an error of its own; the status is the provider's
    ("provider_rejected", 400, "upstream", False, "The provider refused the request."),
    ("provider_auth", 401, "upstream", False,
     "The provider refused the relay's own credential. Your API key is not at fault: "
     "tell the operator of this relay."),
    ("provider_forbidden", 403, "upstream", False, "The provider refused this request."),
    ("provider_rate_limited", 429, "upstream", True, "The provider is limiting calls. Try later."),
    ("provider_quota", 429, "upstream", False,
     "The relay's account at the provider has no credit or quota left. "
     "Tell the operator of this relay."),
    ("provider_failed", 500, "upstream", True, "The provider failed."),
    ("provider_stream_error", 502, "upstream", False,
     "The provider reported an error in its stream."),
)


class RelayError(Exception):
    """An error that ends an exchange, as the client is told it.

    `param` names the field at fault, if one is; `retry_after_ms` is set where waiting helps and
    somebody knows how long; `detail` is one more sentence for the client, made of the relay's own
    words and figures; `close` asks for the client's connection to be closed after the answer.
    """

    __slots__ = ("kind", "param", "retry_after_ms", "close", "status", "detail")

    def __init__(
        self,
        code: str,
        *,
        param: str | None = None,
        retry_after_seconds: int | None = None,
        retry_after_ms: int | None = None,
        close: bool = False,
        status: int | None = None,
        detail: str = "",
    ) -> None:
        super().__init__(code)
        self.kind = ERRORS[code]
        self.param = param
        if retry_after_seconds is not None:
            retry_after_ms = retry_after_seconds * 1000
        self.retry_after_ms = retry_after_ms
        self.detail = detail
        self.close = close
        self.status = self.kind.status if status is None else status

    @property
    def code(self) -> str:
        """The row's code, from the closed list."""
        return self.kind.code

    @property
    def retry_after_seconds(self) -> int | None:
        """The wait in whole seconds, rounded up."""
        return None if self.retry_after_ms is None else -(-self.retry_after_ms // 1000)
