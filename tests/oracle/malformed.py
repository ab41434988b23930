"""Rows that must be refused, a few for each reason, and some with two reasons at once."""

import json

REPORT = {
    "event_id": "bad", "event_type": "loan.delinquent", "event_time": "2026-03-01T00:00:04Z",
    "lender_id": "L001", "loan_id": "BAD", "borrower_id": "BAD", "product": "cash",
    "province": "44", "principal": "3021.55", "interest": "112.40", "penalty": "18.02",
    "fee": "5.00", "currency": "CNY", "days_past_due": 47, "origination_date": "2025-08-11",
    "due_date": "2026-01-13", "phone": "13912345678", "national_id": "440101199001011234",
    "score": 612, "contactable": True,
}
PAYMENT = {
    "payment_id": "bad", "loan_id": "BAD", "kind": "payment", "amount": "250.00",
    "paid_at": "2026-03-02T08:30:00Z", "channel": "bank", "reverses": None,
}
REVERSAL = {**PAYMENT, "kind": "reversal", "amount": "-250.00", "reverses": "bad-1"}

ABSENT = object()
NOT_MONEY = (
    ABSENT, None, "", "12.5", "1,000.00", "12.345", "abc", "+5.00", " 5.00", "5.00 ", "1e5",
    "12345678901234.00", "１２.00", ".50", "5.", "--5.00", 250.00, 250, True, ["1.00"], {},
)
EMPTY = (ABSENT, None, "")
NOT_AN_INTEGER = (ABSENT, None, "late", 12.5, True, [47], {})
NOT_A_TIME = (ABSENT, None, "", "yesterday", "2026-02-30T00:00:00Z", "2026-13-01T00:00:00Z",
              "2026-03-01T25:00:00Z", "01/03/2026")
NOT_ONE_OBJECT = (
    b'{"loan_id":"BAD","principal"', b"[1,2]", b'"a text"', b"42", b"null", b"free text",
    b'{"loan_id":"BAD"} {"loan_id":"BAD"}', b'{"loan_id":"\xff\xfe"}', b"{loan_id:1}",
    b'{"loan_id":"BAD",}', b"{'loan_id':'BAD'}", b'[{"loan_id":"BAD"}]',
)


def line(dice, number):
    """One malformed line; `number` keeps the ids of different lines apart."""
    kind = dice.randrange(1 + len(CHANGES))
    if kind == 0:
        return dice.choice(NOT_ONE_OBJECT)
    base, field, values = CHANGES[kind - 1]
    row = dict(base)
    key = "event_id" if base is REPORT else "payment_id"
    row[key] = f"bad-{number}"
    set_field(row, dice.choice(field), dice.choice(values))
    if dice.random() < 0.2:
        # A second reason: the first that applies is the one to give.
        base_changes = [change for change in CHANGES if change[0] is base]
        _, field, values = dice.choice(base_changes)
        set_field(row, dice.choice(field), dice.choice(values))
    return json.dumps(row, ensure_ascii=dice.random() < 0.5).encode()


def set_field(row, field, value):
    if value is ABSENT:
        row.pop(field, None)
    else:
        row[field] = value


CHANGES = (
    (REPORT, ("loan_id",), EMPTY),
    (REPORT, ("principal", "interest", "penalty", "fee"), NOT_MONEY),
    (REPORT, ("principal",), ("-0.01", "-3021.55")),
    (REPORT, ("days_past_due",), NOT_AN_INTEGER),
    (REPORT, ("event_id",), EMPTY),
    (REPORT, ("event_time",), NOT_A_TIME),
    (PAYMENT, ("loan_id",), EMPTY),
    (PAYMENT, ("amount",), NOT_MONEY),
    (PAYMENT, ("kind",), (ABSENT, None, "", "refinance", "Payment")),
    (PAYMENT, ("amount",), ("0.00", "-250.00", "-0.00")),
    (PAYMENT, ("payment_id",), ("",)),
    (PAYMENT, ("paid_at",), NOT_A_TIME),
    (REVERSAL, ("reverses",), EMPTY),
    (REVERSAL, ("amount",), ("0.00", "250.00")),
)
