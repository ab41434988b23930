#!/usr/bin/env python3
"""The UCI set as twelve monthly files, without SQL.

    uci_reshape.py --out DIR [--canonical]

Writes 2005-04-15.payment.csv, 2005-04-30.report.csv and on, in the raw columns of the demo, or
with --canonical the same months as canonical JSON lines, which is what the dialect must make of
them. Independent of the SQL in deploy/demo: the two must agree.
"""

import argparse
import csv
import gzip
import io
import json
import os
from decimal import Decimal

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.join(HERE, "..", "..", "deploy", "demo", "uci_credit_default.csv.gz")

# Month, last day, and the columns of status, bill and payment: the set counts backwards.
MONTHS = (
    ("2005-04", 30, "X11", "X17", "X23"),
    ("2005-05", 31, "X10", "X16", "X22"),
    ("2005-06", 30, "X9", "X15", "X21"),
    ("2005-07", 31, "X8", "X14", "X20"),
    ("2005-08", 31, "X7", "X13", "X19"),
    ("2005-09", 30, "X6", "X12", "X18"),
)


def accounts():
    with gzip.open(SOURCE, "rb") as file:
        yield from csv.DictReader(io.TextIOWrapper(file, encoding="ascii", newline=""))


def whole(text):
    """Whole dollars; a spreadsheet once wrote some of them as 1.00E+05."""
    value = Decimal(text)
    assert value == int(value), f"{text} is not whole dollars"
    return int(value)


def months():
    """Payments and reports of each month, in order of time: (kind, day, rows)."""
    rows = list(accounts())
    for month, last, status, bill, paid in MONTHS:
        day = f"{month}-15"
        yield "payment", day, [
            {"account": row["ID"], "paid_on": day, "paid": whole(row[paid])}
            for row in rows if whole(row[paid])
        ]
        day = f"{month}-{last}"
        yield "report", day, [
            {
                "account": row["ID"], "as_of": day, "status": row[status],
                "bill": whole(row[bill]), "credit_limit": whole(row["X1"]),
            }
            for row in rows
        ]


def canonical(kind, row):
    account = row["account"].zfill(5)
    if kind == "payment":
        return {
            "payment_id": f"P-{account}-{row['paid_on']}", "loan_id": f"UCI-{account}",
            "kind": "payment", "amount": f"{row['paid']}.00",
            "paid_at": f"{row['paid_on']}T12:00:00Z", "channel": "bank",
        }
    limit = row["credit_limit"]
    product = "classic" if limit < 100_000 else "gold" if limit < 300_000 else "platinum"
    return {
        "event_id": f"R-{account}-{row['as_of']}", "event_time": f"{row['as_of']}T23:59:59Z",
        "loan_id": f"UCI-{account}", "borrower_id": f"B-{account}", "product": f"card_{product}",
        "province": "TW", "principal": f"{max(row['bill'], 0)}.00", "interest": "0.00",
        "penalty": "0.00", "fee": "0.00", "currency": "TWD",
        "days_past_due": 30 * max(int(row["status"]), 0),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", required=True)
    parser.add_argument("--canonical", action="store_true")
    args = parser.parse_args()
    os.makedirs(args.out, exist_ok=True)
    for kind, day, rows in months():
        name = f"{day}.{kind}." + ("jsonl" if args.canonical else "csv")
        with open(os.path.join(args.out, name), "w", newline="", encoding="utf-8") as file:
            if args.canonical:
                file.writelines(json.dumps(canonical(kind, row)) + "\n" for row in rows)
                continue
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
