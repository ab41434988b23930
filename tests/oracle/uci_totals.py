#!/usr/bin/env python3
"""Totals of the demo that anyone can check against the CSV.

    uci_totals.py            prints them as JSON
    uci_totals.py --check    exits with 1 unless they are those of uci_totals.json beside it
    uci_totals.py --of DIR   exits with 1 unless the relations in DIR add up to them

None depends on agencies or their capacities: whoever holds an account, the money is the same.
"""

import csv
import json
import os
import sys
from decimal import Decimal

from uci_reshape import HERE, accounts, months

# Figures published with the set, computed by others from the same file.
NEWEST_STATUS = {
    "-2": 2759, "-1": 5686, "0": 14737, "1": 3688, "2": 2667, "3": 322, "4": 76, "5": 26, "6": 11,
    "7": 9, "8": 19,
}


def totals():
    owed, late, late_and_owing = {}, set(), set()
    found = {
        "accounts": 0, "reports": 0, "payments": 0, "paid": 0, "negative_bills": 0,
        "payments_before_report": 0, "paid_before_report": 0, "collected": 0, "over": 0,
        "ever_late": 0, "ever_late_and_owing": 0, "outstanding": 0, "months": {},
    }
    for kind, day, rows in months():
        month = found["months"].setdefault(day[:7], {})
        if kind == "payment":
            month["payments"] = len(rows)
            month["paid"] = sum(row["paid"] for row in rows)
            settle(found, owed, rows)
            continue
        month["reports"] = len(rows)
        month["late"] = sum(int(row["status"]) > 0 for row in rows)
        month["negative_bills"] = sum(row["bill"] < 0 for row in rows)
        month["bills"] = sum(row["bill"] for row in rows)
        month["principal"] = sum(max(row["bill"], 0) for row in rows)
        owed = {row["account"]: max(row["bill"], 0) for row in rows}
        late |= {row["account"] for row in rows if int(row["status"]) > 0}
        late_and_owing |= {
            row["account"] for row in rows if int(row["status"]) > 0 and row["bill"] > 0
        }
    for key in ("reports", "payments", "paid", "negative_bills"):
        found[key] = sum(month[key] for month in found["months"].values())
    found["accounts"] = len(owed)
    found["ever_late"], found["ever_late_and_owing"] = len(late), len(late_and_owing)
    # Every account's newest report is the last thing that happened to it.
    found["outstanding"] = sum(owed.values())
    assert found["paid"] == found["paid_before_report"] + found["collected"] + found["over"]
    return found


def settle(found, owed, rows):
    """April's payments come before any report; later ones fill the last bill."""
    for row in rows:
        if row["account"] not in owed:
            found["payments_before_report"] += 1
            found["paid_before_report"] += row["paid"]
            continue
        found["collected"] += min(row["paid"], owed[row["account"]])
        found["over"] += max(row["paid"] - owed[row["account"]], 0)


def published():
    """The figures that came with the set: in default next month, and newest status."""
    status, default = {}, 0
    for row in accounts():
        status[row["X6"]] = status.get(row["X6"], 0) + 1
        default += row["Y"] == "1"
    assert default == 6636, f"{default} accounts default next month, published are 6636"
    assert status == NEWEST_STATUS, f"newest status counts {status} are not those published"


def relation(folder, name):
    with open(os.path.join(folder, name + ".csv"), newline="", encoding="utf-8") as file:
        yield from csv.DictReader(file)


def written(folder):
    """The same totals of what `recoup batch --out` or `recoup demo` wrote, in whole dollars."""
    loans = list(relation(folder, "loans"))
    lines = list(relation(folder, "statements"))
    sums = {
        "accounts": len(loans),
        "outstanding": sum(Decimal(loan["balance"]) for loan in loans),
        "payments": sum(int(line["count"]) for line in lines),
        "collected": sum(Decimal(line["collected"]) for line in lines),
        "over": sum(Decimal(line["over"]) for line in lines),
    }
    if os.path.exists(os.path.join(folder, "ledger.csv")):
        booked = {"before_report": Decimal(0), "suspense": Decimal(0)}
        for line in relation(folder, "ledger"):
            if line["account"] in booked:
                booked[line["account"]] -= Decimal(line["amount"])
        sums["paid_before_report"] = booked["before_report"]
        # Everything that waited for its account has found it.
        sums["suspense"] = booked["suspense"]
    return sums


def compare(folder):
    expected = {**totals(), "suspense": 0}
    sums = written(folder)
    wrong = [key for key in sums if sums[key] != expected[key]]
    for key in wrong:
        print(f"{key}: {sums[key]}, expected {expected[key]}")
    sys.exit(1 if wrong else 0)


def main():
    published()
    if sys.argv[1:2] == ["--of"]:
        compare(sys.argv[2])
    found = totals()
    if "--check" not in sys.argv[1:]:
        print(json.dumps(found, indent=2))
        return
    with open(os.path.join(HERE, "uci_totals.json"), encoding="utf-8") as file:
        kept = json.load(file)
    wrong = [key for key in found if found[key] != kept.get(key)]
    for key in wrong:
        print(f"{key}: {found[key]}, kept is {kept.get(key)}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
