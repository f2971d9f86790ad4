"""The tables of states, written down a second time: a row that changes has to change twice.

Tests of a module compare what it does with its own table; whether the table is right is said here.
"""

from __future__ import annotations

import pytest

from relayd.core import (
    abuse, account, dispute, erasure, fapiao, handover, invoice, key, lawful, order, refund,
    subscription, ticket,
)

TABLES = [
    (abuse.MOVES, """
        open: lift>lifted confirm>confirmed
        confirmed: lift>lifted"""),
    (account.ACCOUNT_MOVES, """
        unverified: verify>active erase>erased
        active: verify>active suspend>suspended resume>active close>closing
                terminate>terminated erase>erased
        suspended: suspend>suspended resume>active close>closing terminate>terminated erase>erased
        closing: close>closing reopen>active terminate>terminated erase>erased
        terminated: terminate>terminated erase>erased
        erased: erase>erased"""),
    (dispute.DISPUTE_MOVES, "open: win>won lose>lost"),
    (erasure.MOVES, "cooling: cancel>cancelled erase>erased"),
    (fapiao.FAPIAO_MOVES, """
        submitted: take>reviewing cancel>cancelled reject>rejected
        reviewing: send>issuing reject>rejected
        issuing: issue>issued reject>rejected
        issued: deliver>delivered reverse_part>part_reversed reverse_all>reversed
        delivered: reverse_part>part_reversed reverse_all>reversed
        part_reversed: reverse_part>part_reversed reverse_all>reversed
        red_requested: confirm>red_confirming refuse>red_refused
        red_confirming: issue>red_issued refuse>red_refused"""),
    (handover.MOVES, "announced: cancel>cancelled bundle>bundled"),
    (invoice.INVOICE_MOVES, """
        open: pay>paid void>void write_off>uncollectible
        paid: void>void
        uncollectible: pay>paid void>void"""),
    (key.KEY_MOVES, """
        active: revoke>revoked
        revoked: revoke>revoked"""),
    (lawful.MOVES, """
        open: approve>approved refuse>refused answer>not_held expire>expired
        approved: produce>produced refuse>refused expire>expired"""),
    (order.ORDER_MOVES, """
        created: submit>pending pay>paid fail>failed expire>expired
        pending: pay>paid fail>failed expire>expired
        expired: pay>paid
        failed: pay>paid
        paid: credit>credited
        credited: hold>refunding return_part>part_refunded return_all>refunded dispute>disputed
        refunding: return_part>part_refunded return_all>refunded release>credited
                   release_part>part_refunded dispute>disputed
                   bounce>refunding bounce_part>refunding
        part_refunded: hold>refunding return_part>part_refunded return_all>refunded
                       release_part>part_refunded dispute>disputed
                       bounce>credited bounce_part>part_refunded
        refunded: release_part>refunded bounce>credited bounce_part>part_refunded
        disputed: win>dispute_won lose>dispute_lost return_part>disputed return_all>disputed
                  release>disputed release_part>disputed bounce>disputed bounce_part>disputed
        dispute_won: hold>refunding return_part>part_refunded return_all>refunded
                     release>dispute_won release_part>dispute_won dispute>disputed
                     bounce>dispute_won bounce_part>dispute_won
        dispute_lost: return_part>dispute_lost return_all>dispute_lost release>dispute_lost
                      release_part>dispute_lost
                      bounce>dispute_lost bounce_part>dispute_lost"""),
    (refund.REFUND_MOVES, """
        pending: return>done fail>failed
        done: fail>failed
        failed: return>done"""),
    (subscription.SUBSCRIPTION_MOVES, """
        active: renew>active schedule>active keep>active cancel>ending fail>past_due end>ended
        ending: keep>active cancel>ending end>ended
        past_due: pay>active fail>past_due cancel>ended end>ended"""),
    (ticket.MOVES, """
        open: answer>answered ask>open close>closed
        answered: answer>answered ask>open close>closed"""),
]


def read(text: str) -> dict[tuple[str, str], str]:
    found, state = {}, ""
    for word in text.split():
        if word.endswith(":"):
            state = word[:-1]
        else:
            move, _, after = word.partition(">")
            found[state, move] = after
    return found


@pytest.mark.parametrize(("table", "text"), TABLES)
def test_a_table_is_the_one_that_is_written_here(
    table: dict[tuple[str, str], str], text: str
) -> None:
    assert table == read(text)
