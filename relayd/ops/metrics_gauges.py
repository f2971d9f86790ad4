"""What is read at the moment of a scrape: one table of families, and where their values are.

Law: a value is read by a call that does no I/O that waits; labels are names of the configuration
or words of a closed list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from relayd.ops.metrics_text import family, labels

Count = Callable[[], float]
ByName = Callable[[], Mapping[str, float]]
ByNames = Callable[[], Mapping[tuple[str, str], float]]


@dataclass(slots=True)
class Gauges:
    """Where current values are read at scrape; the app sets each once its part exists."""

    ready: Count = int
    draining: Count = int
    calls_in_flight: Count = int
    client_connections: Count = int
    request_body_bytes: Count = int
    reply_buffer_bytes: Count = int
    unflushed_records: Count = int
    oldest_unflushed_seconds: Count = float
    posted_records: Count = int
    lost_records: Count = int
    flush_failures: Count = int
    store_wait_seconds: Count = float
    store_bytes: ByName = dict
    journal_bytes: Count = int
    journal_segments: Count = int
    journal_pending_records: Count = int
    journal_sync_failures: Count = int
    journal_torn_bytes: Count = int
    journal_wait_seconds: Count = float
    log_lines_lost: Count = int
    memory_wiped: Count = int
    loop_lag_seconds: Count = float
    gc_collections: ByName = dict
    gc_pause_seconds: Count = float
    gc_pause_worst_seconds: Count = float
    upstream_connections: Callable[[], Mapping[str, tuple[int, int]]] = dict
    """(idle, busy) by provider."""
    provider_up: ByName = dict
    deployments: ByNames = dict
    credentials: ByNames = dict
    queued_calls: ByName = dict
    limit_refusals: ByNames = dict
    overload_refusals: ByName = dict
    connection_refusals: ByName = dict
    certificate_expiry: ByName = dict
    swept_rows: ByName = dict
    swept_at_seconds: ByName = dict
    tickets_overdue: ByName = dict
    assessment_at_seconds: Count = float
    assessment_findings: Count = int
    sign_in_refusals: ByName = dict
    mails: ByName = dict
    mails_waiting: Count = int
    payment_messages: ByName = dict
    payment_alarms: Count = int
    payment_failures: Count = int
    months_overdue: Count = int
    closing_failures: Count = int


class Reading(NamedTuple):
    """A family: the field of `Gauges` that has it, its name, type, meaning, and labels."""

    field: str
    name: str
    kind: Literal["counter", "gauge"]
    about: str
    labels: tuple[str, ...] = ()


READINGS: Final = (
    Reading("ready", "relayd_ready", "gauge", "1 while /readyz says that calls may come."),
    Reading("draining", "relayd_draining", "gauge",
            "1 while the process ends, and waits for the calls that run."),
    Reading("calls_in_flight", "relayd_calls_in_flight", "gauge",
            "Calls admitted and not settled."),
    Reading("client_connections", "relayd_client_connections", "gauge",
            "Open connections of clients."),
    Reading("request_body_bytes", "relayd_request_body_bytes", "gauge",
            "Request bodies that are held in memory."),
    Reading("reply_buffer_bytes", "relayd_reply_buffer_bytes", "gauge",
            "Reply bytes that clients with a call under way have not taken yet."),
    Reading("upstream_connections", "relayd_upstream_connections", "gauge",
            "Open connections to providers.", ("provider", "state")),
    Reading("provider_up", "relayd_provider_up", "gauge",
            "1 while connections to the provider can be made, 0 while its circuit is open.",
            ("provider",)),
    Reading("deployments", "relayd_deployments", "gauge",
            "Deployments of the routes by their state: healthy, cooling, down, draining.",
            ("provider", "state")),
    Reading("credentials", "relayd_credentials", "gauge",
            "Credentials of deployments: ready, or resting because the provider refused them.",
            ("provider", "state")),
    Reading("queued_calls", "relayd_queued_calls", "gauge",
            "Calls that wait for a place at a deployment with a bound.", ("provider",)),
    Reading("limit_refusals", "relayd_limit_refusals_total", "counter",
            "Calls refused by a limit, by its scope and kind.", ("scope", "limit")),
    Reading("overload_refusals", "relayd_overload_refusals_total", "counter",
            "Calls refused for overload, by reason.", ("reason",)),
    Reading("connection_refusals", "relayd_connection_refusals_total", "counter",
            "Connections closed before anything was read from them, by reason.", ("reason",)),
    Reading("unflushed_records", "relayd_unflushed_records", "gauge",
            "Call records not yet in the store."),
    Reading("oldest_unflushed_seconds", "relayd_oldest_unflushed_seconds", "gauge",
            "The greatest age that a call record outside the store may have."),
    Reading("posted_records", "relayd_posted_records_total", "counter",
            "Call records that the store has taken."),
    Reading("lost_records", "relayd_lost_records_total", "counter",
            "Call records that the store refuses as invalid."),
    Reading("flush_failures", "relayd_flush_failures_total", "counter",
            "How often the store failed to take records."),
    Reading("store_wait_seconds", "relayd_store_wait_seconds", "gauge",
            "How long the store has been at its last task; 0 while it is idle."),
    Reading("store_bytes", "relayd_store_bytes", "gauge",
            "Sizes of the store's files.", ("file",)),
    Reading("journal_bytes", "relayd_journal_bytes", "gauge",
            "Size of the journal's files."),
    Reading("journal_segments", "relayd_journal_segments", "gauge",
            "Number of the journal's files."),
    Reading("journal_pending_records", "relayd_journal_pending_records", "gauge",
            "Closed calls that the journal's disk has not taken yet."),
    Reading("journal_sync_failures", "relayd_journal_sync_failures_total", "counter",
            "How often the disk failed to take what was written to the journal."),
    Reading("journal_wait_seconds", "relayd_journal_wait_seconds", "gauge",
            "How long the journal's last sync has taken so far; 0 while it is idle."),
    Reading("journal_torn_bytes", "relayd_journal_torn_bytes_total", "counter",
            "Bytes of an earlier journal that could not be read at the start."),
    Reading("log_lines_lost", "relayd_log_lines_lost_total", "counter",
            "Lines of the log that its reader did not take."),
    Reading("memory_wiped", "relayd_memory_wiped", "gauge",
            "1 if the start saw that freed memory is overwritten."),
    Reading("loop_lag_seconds", "relayd_event_loop_lag_seconds", "gauge",
            "The worst lag of the event loop in the last 30 seconds."),
    Reading("gc_collections", "relayd_gc_collections_total", "counter",
            "Runs of the garbage collector.", ("generation",)),
    Reading("gc_pause_seconds", "relayd_gc_pause_seconds_total", "counter",
            "Time that the garbage collector took."),
    Reading("gc_pause_worst_seconds", "relayd_gc_pause_worst_seconds", "gauge",
            "The garbage collector's longest run since the start."),
    Reading("certificate_expiry", "relayd_certificate_expiry_timestamp_seconds", "gauge",
            "When a listener's certificate ends, Unix time.", ("listener",)),
    Reading("swept_rows", "relayd_retention_swept_rows_total", "counter",
            "Rows that were deleted because their term was over.", ("category",)),
    Reading("swept_at_seconds", "relayd_retention_swept_timestamp_seconds", "gauge",
            "When a category was last swept, Unix time.", ("category",)),
    Reading("tickets_overdue", "relayd_tickets_overdue", "gauge",
            "Tickets that nobody answered in time.", ("class",)),
    Reading("assessment_at_seconds", "relayd_assessment_timestamp_seconds", "gauge",
            "When the last self-assessment was made, Unix time; 0: not yet."),
    Reading("assessment_findings", "relayd_assessment_findings", "gauge",
            "Findings of the last self-assessment, except for a search that never ran."),
    Reading("sign_in_refusals", "relayd_sign_in_refusals_total", "counter",
            "Attempts to sign in that were refused unchecked, by reason.", ("reason",)),
    Reading("mails", "relayd_mails_total", "counter",
            "Attempts to send a mail, by result.", ("result",)),
    Reading("mails_waiting", "relayd_mails_waiting", "gauge",
            "Mails in the outbox that are still to be sent."),
    Reading("payment_messages", "relayd_payment_messages_total", "counter",
            "Messages to payment partners' addresses, by result.", ("outcome",)),
    Reading("payment_alarms", "relayd_payment_alarms", "gauge",
            "Messages of payment partners that do not fit, not yet looked at."),
    Reading("payment_failures", "relayd_payment_failures_total", "counter",
            "Times that a payment partner could not be asked about open payments."),
    Reading("months_overdue", "relayd_months_overdue", "gauge",
            "Months that should be closed into invoices and are not."),
    Reading("closing_failures", "relayd_closing_failures_total", "counter",
            "How often closing a month was interrupted."),
)


def gauges_text(gauges: Gauges) -> str:
    """All families of READINGS, with the values of now."""
    return "".join(
        family(each.name, each.kind, each.about, _samples(each, getattr(gauges, each.field)()))
        for each in READINGS)


def _samples(
    reading: Reading, found: float | Mapping[str | tuple[str, str], float | tuple[int, int]],
) -> list[tuple[str, float]]:
    if not isinstance(found, Mapping):
        return [("", found)]
    samples: list[tuple[str, float]] = []
    for key, value in sorted(found.items()):
        names = (key,) if isinstance(key, str) else key
        if isinstance(value, tuple):
            samples += [(labels(reading.labels, (*names, state)), count)
                        for state, count in zip(("idle", "busy"), value, strict=True)]
        else:
            samples.append((labels(reading.labels, names), value))
    return samples
