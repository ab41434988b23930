#!/usr/bin/env python3
"""Checks what must hold of `recoup batch --out A` where agencies have capacities.

    limits.py A B --reference DIR [--case loan|borrower]

The oracle (B) knows no capacities, so who holds a loan may differ. What may not: loans, prices and
refusals; statements added up over agencies, but for commission; and the limits themselves: no
agency holds more cases than it may, no case is split, no loan is where it may not be, each value
is that of its price, and nothing is placed that is worth nothing. Exits with 1 otherwise.
"""

import argparse
import sys
from collections import defaultdict
from decimal import Decimal

from compare import compare_refused, compare_rows, load
from market import SHARE, Market, half_away, rows
from reading import BUCKETS

SUMMED = ("count", "collected", "penalty", "fee", "interest", "principal", "over")
UNIT = SHARE * SHARE


class Terms:
    """Just enough of a loan to ask a desk about it."""

    def __init__(self, loan, bucket, price):
        self.product, self.province = loan["product"] or None, loan["province"] or None
        self.lender, self.bucket, self.price = loan["lender_id"], bucket, price
        self.day = 0


def summed(lines):
    """Statements by lender, day and currency, whoever the agency."""
    sums = defaultdict(lambda: dict.fromkeys(SUMMED, Decimal(0)))
    for line in lines:
        key = (line["lender_id"], line["day"], line.get("currency") or "")
        for column in SUMMED:
            sums[key][column] += Decimal(line[column])
    return sums


def compare_sums(ours, theirs, say):
    left, right = summed(ours), summed(theirs)
    for key in sorted(left.keys() | right.keys()):
        if left[key] != right[key]:
            say(f"statements {' '.join(key)}: {dict(left[key])}, expected {dict(right[key])}")
    return len(right)


def check_placements(placements, loans, market, case, say):
    known = {loan["loan_id"]: loan for loan in loans}
    cases, open_cases = defaultdict(set), defaultdict(set)
    for row in placements:
        loan, agency = known[row["loan_id"]], row["agency_id"]
        if not agency:
            continue
        name = loan["loan_id"] if case == "loan" else (loan["lender_id"], loan["borrower_id"])
        if row["status"] == "placed":
            cases[name].add(agency)
            # What goes on because money was taken back may stand above the capacity.
            if not row.get("resumed"):
                open_cases[agency].add(name)
        check_value(row, loan, market, case, say)
    for name, agencies in cases.items():
        if len(agencies) > 1:
            say(f"case {name} is at {', '.join(sorted(agencies))}")
    return open_cases


def check_value(row, loan, market, case, say):
    """The bucket may have changed since the decision: one must explain the value."""
    desk = market.desks.get(row["agency_id"])
    if desk is None:
        say(f"placements {row['loan_id']}: no agency {row['agency_id']}")
        return
    price, value = (int(Decimal(row[name]).scaleb(2)) for name in ("price", "value"))
    found = False
    for bucket in range(len(BUCKETS)):
        terms = Terms(loan, bucket, price)
        worth = market.value(desk, terms)
        if half_away(worth, UNIT) == value and desk.first <= bucket <= desk.last:
            found = True
    if not found:
        say(f"placements {row['loan_id']}: {row['value']} is not what {row['price']} is worth "
            f"at {row['agency_id']} in any bucket it takes")
    # In a case of several loans one may be worth less than nothing.
    if case == "loan" and value < 0:
        say(f"placements {row['loan_id']}: placed at a value of {row['value']}")


def check_capacities(open_cases, reference, say):
    for row in rows(reference, "agencies") or []:
        held = len(open_cases.get(row["agency_id"], ()))
        if row["capacity"] and held > int(row["capacity"]):
            say(f"agency {row['agency_id']} holds {held} cases of {row['capacity']}")
        print(f"agency {row['agency_id']}: {held} cases of {row['capacity'] or 'any number'}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("ours", metavar="A")
    parser.add_argument("theirs", metavar="B")
    parser.add_argument("--reference", required=True)
    parser.add_argument("--any-order", action="store_true",
                        help="what came in was read in an order that the oracle does not know")
    parser.add_argument("--case", choices=("loan", "borrower"), default="borrower")
    args = parser.parse_args()
    said = []
    for name in ("loans", "prices"):
        compare_rows(name, load(args.ours, name), load(args.theirs, name), said.append)
    refused = [load(folder, "refused") for folder in (args.ours, args.theirs)]
    compare_refused(*refused, said.append, args.any_order)
    compare_sums(load(args.ours, "statements"), load(args.theirs, "statements"), said.append)
    market = Market(args.reference)
    placements, loans = load(args.ours, "placements"), load(args.ours, "loans")
    open_cases = check_placements(placements, loans, market, args.case, said.append)
    check_capacities(open_cases, args.reference, said.append)
    for line in said[:40]:
        print(line)
    print(f"{len(said)} differences")
    sys.exit(1 if said else 0)


if __name__ == "__main__":
    main()
