#!/usr/bin/env python3
"""Small histories in which everything collides: what the fold of a loan must survive.

    wild.py --seed N --loans M --out DIR [--level 0..5]

Twelve instants only, so that reports and movements tie; reversals that come before their payment,
in time and in arrival. Each level adds a trouble: 1 payments nobody has seen, 2 reversals of other
amounts, 3 reports with one id and two contents, 4 payments so, 5 reversals of reversals.
"""

import argparse
import json
import os
import random

from references import write_reference

INSTANTS = [
    f"2026-03-{day:02d}T{hour:02d}:00:00Z" for day in (1, 2, 3, 5, 8, 9) for hour in (0, 12)
]


def money(cents):
    return f"{'-' if cents < 0 else ''}{abs(cents) // 100}.{abs(cents) % 100:02d}"


def report(dice, loan, number, level):
    return {
        "event_id": f"e{dice.randint(1, 4)}" if level >= 3 else f"e{number}",
        "event_time": dice.choice(INSTANTS), "lender_id": "L001", "loan_id": loan,
        "borrower_id": "B" + loan, "product": "cash", "province": "44",
        "principal": money(dice.choice((0, 5000, 20000))),
        "interest": money(dice.choice((0, 700))), "penalty": money(dice.choice((0, 300))),
        "fee": money(dice.choice((0, 111))), "currency": "CNY",
        "days_past_due": dice.choice((40, 70)), "score": 600,
    }


def movement(dice, loan, id_, cents, reverses=None):
    return {
        "payment_id": id_, "loan_id": loan, "kind": "reversal" if reverses else "payment",
        "amount": money(cents), "paid_at": dice.choice(INSTANTS), "channel": "bank",
        "reverses": reverses,
    }


def history(dice, loan, level):
    """The rows of one loan, in some order of arrival."""
    rows = [report(dice, loan, number, level) for number in range(dice.randint(1, 3))]
    payments = []
    for number in range(dice.randint(0, 4)):
        id_ = f"p{dice.randint(1, 4)}" if level >= 4 else f"p{number}"
        payments.append((id_, dice.choice((100, 900, 3000, 25000))))
        rows.append(movement(dice, loan, *payments[-1]))
    for number in range(dice.choice((0, 0, 1, 1, 2, 3)) if payments else 0):
        target, cents = dice.choice(payments)
        if level >= 2 and dice.random() < 0.15:
            cents += 1
        if level >= 5 and dice.random() < 0.1:
            target = f"r{dice.randint(0, 2)}"
        if level >= 1 and dice.random() < 0.1:
            target = "p9"
        rows.append(movement(dice, loan, f"r{number}", -cents, target))
    dice.shuffle(rows)
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--loans", type=int, default=3000)
    parser.add_argument("--out", required=True)
    parser.add_argument("--level", type=int, default=5)
    args = parser.parse_args()
    dice = random.Random(args.seed)
    write_reference(dice, os.path.join(args.out, "reference"), True, False)
    left = [history(dice, f"W{number:05d}", args.level) for number in range(args.loans)]
    with open(os.path.join(args.out, "intake-1.jsonl"), "w", encoding="utf-8") as file:
        while left:
            place = dice.randrange(len(left))
            file.write(json.dumps(left[place].pop(0)) + "\n")
            if not left[place]:
                left[place] = left[-1]
                left.pop()


if __name__ == "__main__":
    main()
