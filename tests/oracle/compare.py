#!/usr/bin/env python3
"""Compares the relations that `recoup batch --out A` wrote with what the oracle wrote into B.

    compare.py A B [--show N] [--relations loans,prices,...]

To the cent, every row of loans, instalments, prices, placements and statements by day and month,
of remittances and what is owed on them, and the counts of refusals by lender and reason. Where A
has a ledger, its entries must sum to zero in their currency, and the suspense in it must be the
oracle's. Prints the first differences and exits with 1 if there is one.
"""

import argparse
import csv
import os
import sys
from collections import Counter, defaultdict
from decimal import Decimal, InvalidOperation

from reading import instant

csv.field_size_limit(1 << 30)

KEYS = {
    "loans": ("loan_id",),
    "instalments": ("loan_id",),
    "prices": ("loan_id",),
    "placements": ("loan_id",),
    "statements": ("lender_id", "agency_id", "day", "currency"),
    "remitted": ("remittance_id",),
    "clearing": ("lender_id", "agency_id", "currency"),
    "suspense_by_age": ("lender_id", "currency", "days"),
    "statements_monthly": ("lender_id", "agency_id", "month", "currency"),
}
MONEY = {
    "principal", "interest", "penalty", "fee", "balance", "price", "value", "collected", "over",
    "commission", "remittance", "vat", "held", "due", "invoiced", "count", "days_past_due",
    "score", "amount", "loans", "clearing", "payable", "owed_by_agency", "days_0_7", "days_8_30",
    "days_31_60", "days_61", "prepaid", "owed_by_lender", "withheld", "paid", "past_due",
    "past_due_days", "delinquent_days",
}
INSTANTS = {"event_time", "placed_at"}
RELATIONS = (
    "loans,instalments,prices,placements,statements,statements_monthly,remitted,clearing,"
    "suspense_by_age,refused,ledger"
)
# What the page leaves open for a loan that nobody holds.
ONLY_OF_THE_PLACED = {"price", "value", "placed_at", "desk_id"}


def load(folder, name):
    path = os.path.join(folder, name + ".csv")
    if not os.path.exists(path):
        return None
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def plain(column, text):
    """One value, in one way of writing."""
    if text is None or text == "":
        return ""
    if column in MONEY:
        try:
            return Decimal(text)
        except InvalidOperation:
            return text
    if column in INSTANTS:
        written = text.replace(" ", "T")
        written = written if written.endswith("Z") or "+" in written else written + "Z"
        micros = instant(written)
        return text if micros is None else micros
    if column in ("contactable", "day"):
        return text.lower()[:10]
    return text


def indexed(rows, key, name, say):
    found = {}
    for row in rows:
        place = tuple(row.get(column) or "" for column in key)
        if place in found:
            say(f"{name}: two rows of {' '.join(place)}")
        found[place] = row
    return found


def compare_rows(name, ours, theirs, say):
    key = KEYS[name]
    if ours and not all(column in ours[0] for column in key):
        key = tuple(column for column in key if column in ours[0])
    left, right = indexed(ours, key, name, say), indexed(theirs, key, name, say)
    if name.startswith("statements"):
        left, right = something(left), something(right)
    columns = [column for column in (theirs[0] if theirs else {}) if column not in key]
    absent = [column for column in columns if ours and column not in ours[0]]
    if absent:
        say(f"{name}: columns that are missing: {', '.join(absent)}")
    for place in sorted(left.keys() | right.keys()):
        label = f"{name} {' '.join(part or '-' for part in place)}"
        if place not in left:
            say(f"{label}: not written; expected {brief(right[place], key)}")
            continue
        if place not in right:
            say(f"{label}: should not be there: {brief(left[place], key)}")
            continue
        wrong = [
            f"{column} {left[place].get(column) or '-'}, expected {right[place][column] or '-'}"
            for column in columns
            if column not in absent
            and not (name == "placements" and skip(column, right[place]))
            and plain(column, left[place].get(column)) != plain(column, right[place][column])
        ]
        if wrong:
            say(f"{label}: " + "; ".join(wrong))
    return len(right)


def something(lines):
    """A statement line that came to nothing is as good as none."""
    return {
        key: line for key, line in lines.items()
        if any(plain(column, line[column]) for column in line if column in MONEY)
    }


def skip(column, row):
    return not row["agency_id"] and column in ONLY_OF_THE_PLACED


def brief(row, key):
    return ", ".join(f"{k}={v}" for k, v in row.items() if k not in key and v)[:200]


def counts(rows):
    found = Counter()
    for row in rows:
        found[(row["lender_id"] or "", row["reason"])] += int(row.get("count") or 1)
    return found


def compare_refused(ours, theirs, say, any_order=False):
    """Refusals by lender and reason. A copy that loses a conflict before anybody has reported its
    loan has no lender, so where the order of arrival is open, that many may be another's."""
    left, right = counts(ours), counts(theirs)
    if any_order:
        level(left, right)
    for lender, reason in sorted(left.keys() | right.keys()):
        got, expected = left[(lender, reason)], right[(lender, reason)]
        if got != expected:
            say(f"refused {lender or '-'} {reason}: {got}, expected {expected}")
    return sum(right.values())


def level(left, right):
    """Gives conflicts without a lender on one side to the lenders that lack as many there."""
    for short, full in ((left, right), (right, left)):
        for lender, reason in sorted(full):
            if lender and reason == "conflict":
                lacking = max(0, full[(lender, reason)] - short[(lender, reason)])
                given = min(lacking, short[("", reason)] - full[("", reason)])
                if given > 0:
                    short[("", reason)] -= given
                    short[(lender, reason)] += given


def compare_ledger(ledger, suspense, booked, say):
    sums, held = defaultdict(Decimal), defaultdict(Decimal)
    accounts = defaultdict(Decimal)
    for row in ledger:
        accounts[(row["account"], row["currency"])] += Decimal(row["amount"])
        # An entry's lines are numbered behind its id.
        entry = row["entry_id"].rpartition(":")[0] or row["entry_id"]
        sums[(entry, row["loan_id"], row["currency"])] += Decimal(row["amount"])
        if row["account"] == "suspense":
            held[row["loan_id"]] += Decimal(row["amount"])
    for (entry, loan, currency), amount in sums.items():
        if amount:
            say(f"ledger {entry} of {loan}: lines sum to {amount} {currency}, expected 0.00")
    expected = {row["loan_id"]: Decimal(row["amount"]) for row in suspense}
    for loan in sorted(held.keys() | expected.keys()):
        got = abs(held.get(loan, Decimal(0)))
        if got != abs(expected.get(loan, Decimal(0))):
            say(f"suspense of loan {loan}: {got}, expected {expected.get(loan, 0)}")
    if booked is not None:
        wanted = {(row["account"], row["currency"]): Decimal(row["amount"]) for row in booked}
        for key in sorted(wanted.keys() | accounts.keys()):
            got, expected = accounts.get(key, Decimal(0)), wanted.get(key, Decimal(0))
            if got != expected:
                say(f"account {' '.join(key)}: {got}, expected {expected}")
    return len(ledger)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("ours", metavar="A")
    parser.add_argument("theirs", metavar="B")
    parser.add_argument("--show", type=int, default=20, help="differences to print per relation")
    parser.add_argument("--relations", default=RELATIONS)
    args = parser.parse_args()
    failed = False
    for name in args.relations.split(","):
        said = []
        ours = load(args.ours, name)
        if name == "ledger":
            if ours is None:
                continue
            suspense, booked = load(args.theirs, "suspense") or [], load(args.theirs, "accounts")
            rows = compare_ledger(ours, suspense, booked, said.append)
        else:
            theirs = load(args.theirs, name)
            if theirs is None:
                continue
            if ours is None:
                said.append(f"{name}: no file {name}.csv in {args.ours}")
                rows = len(theirs)
            elif name == "refused":
                rows = compare_refused(ours, theirs, said.append)
            else:
                rows = compare_rows(name, ours, theirs, said.append)
        for line in said[:args.show]:
            print(line)
        if len(said) > args.show:
            print(f"… and {len(said) - args.show} more of {name}")
        print(f"{name}: {rows} rows, {len(said)} differences")
        failed = failed or bool(said)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
