#!/usr/bin/env python3
"""Makes intake and reference files with everything in them that goes wrong in life.

    generate.py --seed N --events M --out DIR [--plain] [--files K] [--contracts] [--capacity C]
                [--priced] [--kinds] [--closing] [--owned]

Writes DIR/intake-1.jsonl and on, and DIR/reference/. The same seed writes the same bytes.
Priced: the curve and the market have no gaps, so that every loan that names a province has a price.
Without a capacity every agency is without limit; with one, C cases are dealt out unevenly.
Kinds: returns, chargebacks, fees, waivers, charge-offs, refunds and payoffs too, and with contracts
every way of paying commission.
Closing: lenders take loans out of collection and back, agencies remit, days pass behind each file,
up to the dates in DIR/until, and close.
Owned: nobody reports a loan of another lender, whose it is would depend on which comes first.
Plain: reports and payments only, each once, in order of time, none malformed.
"""

import argparse
import json
import os
import random
from datetime import datetime, timedelta, timezone

import malformed
from references import (
    LENDERS, PRODUCTS, PROVINCES, write_agreements, write_reference, write_remittances,
)

START = int(datetime(2026, 1, 1, tzinfo=timezone.utc).timestamp())
HOUR, DAY = 3600, 86400
PARTS = ("penalty", "fee", "interest", "principal")


def money(cents):
    return f"{cents // 100}.{cents % 100:02d}"


def instant(seconds):
    moment = datetime.fromtimestamp(seconds, timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def date(seconds):
    return instant(seconds)[:10]


class Life:
    """One loan's events as they happened: pairs of (when, row), in business order."""

    def __init__(self, dice, number, lender, borrower, ways):
        self.dice, self.number, self.lender, self.plain = dice, number, lender, ways.plain
        self.kinds, self.closing = ways.kinds, ways.closing
        self.loan_id = f"{lender[0]}-{number:07d}" if lender != "L005" else f"贷-{number:07d}-é"
        self.borrower = borrower
        self.product = dice.choice(PRODUCTS)
        self.province = dice.choice(PROVINCES)
        self.score = dice.choice((None, *range(380, 860, 7)))
        self.days = dice.choice((-5, 0, 1, 12, 30, 31, 47, 60, 61, 90, 91, 170, 181, 355, 361))
        self.debt = [dice.randint(0, 9_000), dice.choice((0, 500, 1250)), dice.randint(0, 60_000),
                     int(dice.lognormvariate(12.3, 1.0))]
        if dice.random() < 0.0005 and not self.plain:
            self.debt[3] = 999_999_999_999_999 - dice.randint(0, 99_999)
        self.now = START + dice.randint(0, 120 * DAY)
        self.origin = self.now - dice.randint(60, 900) * DAY
        self.phone = None if dice.random() < 0.1 else f"1{dice.randint(10**9, 10**10 - 1)}"
        self.person = f"{dice.randint(10**17, 10**18 - 1)}"
        self.ids = 0
        self.events = []

    def next_id(self, prefix):
        self.ids += 1
        # Some lenders number the events of each loan from one: ids are a loan's own.
        if self.lender == "L003":
            return str(self.ids)
        return f"{prefix}{self.number:07d}-{self.ids:03d}"

    def report(self):
        dice = self.dice
        penalty, fee, interest, principal = self.debt
        row = {
            "event_id": self.next_id("ev"), "event_type": "loan.delinquent",
            "event_time": instant(self.now), "lender_id": self.lender, "loan_id": self.loan_id,
            "borrower_id": self.borrower, "product": self.product, "province": self.province,
            "principal": money(principal), "interest": money(interest), "penalty": money(penalty),
            "fee": money(fee), "currency": "CNY", "days_past_due": self.days,
            "origination_date": date(self.origin), "due_date": date(self.now - self.days * DAY),
            "phone": self.phone, "national_id": self.person, "score": self.score,
            "contactable": dice.choice((True, True, False, None)),
        }
        if not self.plain:
            if dice.random() < 0.05:
                row["name"] = dice.choice(("王小明", "Zoë Ångström", "O'Neil \"Al\"", "👩‍⚖️"))
            if dice.random() < 0.02:
                row["extra"] = {"nested": [1, 2, {"deep": None}], "loan_id": "not this one"}
            if dice.random() < 0.01:
                del row[dice.choice(("province", "score", "phone", "due_date", "contactable"))]
            if dice.random() < 0.01:
                row[dice.choice(("origination_date", "due_date"))] = "2025-13-45"
            if dice.random() < 0.01:
                row["score"] = dice.choice(("n/a", 99.5, None, [612], -3))
            if dice.random() < 0.01:
                row["contactable"] = dice.choice(("yes", 1, {}))
            if dice.random() < 0.005:
                row["principal"] = "-0.00" if principal == 0 else row["principal"]
        self.events.append((self.now, row))
        return row

    def movement(self, when, cents, kind="payment", reverses=None):
        dice = self.dice
        row = {
            "payment_id": self.next_id("p"), "loan_id": self.loan_id, "kind": kind,
            "amount": money(cents) if cents >= 0 else "-" + money(-cents),
            "paid_at": instant(when), "channel": dice.choice(("bank", "cash", "agency")),
            "reverses": reverses,
        }
        if dice.random() < 0.3:
            row["lender_id"] = self.lender
        if kind == "payment" and dice.random() < 0.1:
            del row["reverses"]
        self.events.append((when, row))
        return row

    def pay(self, when):
        """A payment that lowers the debt, sometimes all of it and more."""
        dice, owed = self.dice, sum(self.debt)
        cents = dice.choice((owed, owed + dice.randint(1, 5000))) if dice.random() < 0.12 else (
            dice.randint(1, max(owed // 3, 100)))
        cents = max(1, min(cents, 999_999_999_999_999))
        row = self.movement(when, cents)
        left = cents
        for index, part in enumerate(self.debt):
            self.debt[index] -= min(part, left)
            left -= min(part, left)
        if not self.plain:
            self.trouble(when, cents, row)
        if self.kinds and dice.random() < 0.25:
            self.change(when, cents, row)
        return row

    def change(self, when, cents, row):
        """Something that is no plain payment, and now and then the reversal of it."""
        dice = self.dice
        later = when + dice.randint(0, 40 * DAY)
        kind = dice.choice(("return", "chargeback", "nsf_fee", "waiver", "waiver", "charge_off",
                            "refund", "payoff"))
        if kind in ("return", "chargeback"):
            if dice.random() < 0.1:
                kind, cents = "chargeback", max(1, cents // 2)
            back = self.movement(later, -cents, kind, row["payment_id"])
            back["reason"] = dice.choice(("R01", "R03", "R10"))
            row["settled"] = False
            if kind == "return" and dice.random() < 0.5:
                self.movement(later, 2500, "nsf_fee")
            return
        amount = dice.randint(1, 60_000)
        one = self.movement(later, -amount if kind == "refund" else amount, kind)
        if kind == "waiver":
            one["authority"] = dice.choice(("lead", "lead", "board", "nobody"))
            one["reason"] = dice.choice(("hardship", "settlement", None))
        if kind == "payoff":
            one["payer"] = "L900"
        if kind != "refund" and dice.random() < 0.2:
            one["settled"] = False
            self.movement(later + dice.randint(0, 9 * DAY), -amount, "reversal", one["payment_id"])

    def trouble(self, when, cents, row):
        """Reversals: most are right, some come twice, some are of another amount."""
        dice = self.dice
        if dice.random() >= 0.10:
            return
        row["settled"] = False
        later = when + dice.randint(1, 45 * DAY)
        kind = dice.random()
        if kind < 0.85:
            self.movement(later, -cents, "reversal", row["payment_id"])
        elif kind < 0.92:
            self.movement(later, -cents, "reversal", row["payment_id"])
            self.movement(later + dice.randint(1, DAY), -cents, "reversal", row["payment_id"])
        else:
            self.movement(later, -cents - 1, "reversal", row["payment_id"])

    def notice(self, when, kind):
        row = {
            "event_id": self.next_id("n"), "event_time": instant(when), "lender_id": self.lender,
            "loan_id": self.loan_id, "kind": kind,
        }
        self.events.append((when, row))

    def leave(self):
        """The lender takes the loan out of collection; sometimes twice, sometimes it comes back."""
        dice = self.dice
        exits = ("settled", "refinanced", "withdrawn", "sold", "written_off")
        when = dice.randint(self.now - 90 * DAY, self.now)
        self.notice(when, dice.choice(exits))
        if dice.random() < 0.2:
            self.notice(when + dice.randint(0, 9 * DAY), dice.choice(exits))
        if dice.random() < 0.5:
            self.notice(when + dice.randint(1, 40 * DAY), "reopened")
        if dice.random() < 0.3:
            self.movement(when + dice.randint(0, 20 * DAY), dice.randint(100, 40_000))

    def live(self):
        dice = self.dice
        if not self.plain and dice.random() < 0.05:
            self.movement(self.now - dice.randint(1, 20 * DAY), dice.randint(100, 40_000))
        for month in range(dice.choice((1, 1, 2, 3, 4, 5, 6))):
            if month:
                self.debt[0] += dice.randint(0, 1500)
                self.debt[2] += self.debt[3] // 100
                self.days = 0 if dice.random() < 0.1 else self.days + 30
                if dice.random() < 0.3 and self.score:
                    self.score += dice.randint(-40, 40)
                if dice.random() < 0.02:
                    self.province = dice.choice(PROVINCES)
            self.report()
            if not self.plain and dice.random() < 0.005:
                self.debt[3] += 1000
                self.report()
            until = self.now + 30 * DAY
            for _ in range(dice.choice((0, 0, 1, 1, 2))):
                when = dice.randint(self.now + 1, until)
                if not self.plain and dice.random() < 0.03:
                    when = until
                self.pay(when)
                if not self.plain and dice.random() < 0.02:
                    self.pay(when)
            self.now = until
        if self.closing and dice.random() < 0.15:
            self.leave()
        if not self.plain and dice.random() < 0.01:
            self.movement(self.now, -dice.randint(1, 900), "reversal", "p-nobody-has-seen")
        if not self.plain and dice.random() < 0.01:
            self.events = [event for event in self.events if "payment_id" in event[1]]
        self.events.sort(key=lambda event: event[0])
        return self.events


def delay(dice):
    """How long after it happened an event arrives: mostly hours, sometimes months."""
    kind = dice.random()
    if kind < 0.80:
        return dice.randint(0, 2 * HOUR)
    if kind < 0.93:
        return dice.randint(0, 3 * DAY)
    return dice.randint(0, 70 * DAY)


def arrivals(dice, life, owned=False):
    """The rows of one loan with the second at which each arrives, repeats and intruders too."""
    for when, row in life.live():
        if life.plain:
            yield when, row
            continue
        reversed_later = row.pop("settled", True) is False
        seconds = when + delay(dice)
        yield seconds, row
        chance = dice.random()
        if chance < 0.03:
            yield seconds + delay(dice), again(dice, row)
        elif chance < 0.04 and not reversed_later:
            copy = other_content(dice, row)
            if copy is not None:
                yield seconds + delay(dice) - 3 * HOUR, copy
        elif chance < 0.044 and not owned:
            yield seconds + DAY + delay(dice), foreign(dice, row, life.lender)


def again(dice, row):
    """The same content, perhaps written in another order or with fields nobody asked for."""
    items = list(row.items())
    if dice.random() < 0.5:
        dice.shuffle(items)
    copy = dict(items)
    if dice.random() < 0.2:
        # The same instant, written by another clock.
        key = "paid_at" if "payment_id" in row else "event_time"
        copy[key] = elsewhere(dice, row[key])
    if dice.random() < 0.3:
        copy["resent"] = dice.randint(1, 9)
    return copy


def elsewhere(dice, text):
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    hours = dice.choice((-5, 1, 8))
    written = moment.astimezone(timezone(timedelta(hours=hours))).isoformat()
    return dice.choice((written, text.replace("Z", ".000Z"), text.replace("Z", ".0000009Z")))


def other_content(dice, row):
    copy = dict(row)
    if "principal" not in row and "payment_id" not in row:
        return None
    if "payment_id" not in row:
        copy["principal"] = money(dice.randint(0, 500_000))
        copy["days_past_due"] = row["days_past_due"] + dice.choice((0, 0, 15))
    elif row["kind"] == "payment":
        copy["amount"] = money(dice.randint(1, 90_000))
    else:
        return None
    return copy


def foreign(dice, row, lender):
    copy = dict(row)
    copy["lender_id"] = dice.choice([other for other in LENDERS if other != lender])
    key = "payment_id" if "payment_id" in row else "event_id"
    copy[key] = row[key] + "-x"
    return copy


def lives(dice, events, ways):
    """Loans until there are events enough; a borrower has one to four of them with a lender."""
    number = 0
    while True:
        lender = dice.choice(LENDERS)
        # Borrower numbers repeat between lenders on purpose.
        borrower = f"B{number:07d}"
        if ways.plain:
            borrower = f"B{dice.randint(0, events // 3):07d}-{number}"
        for _ in range(dice.choice((1, 1, 1, 1, 2, 2, 3, 4))):
            number += 1
            yield Life(dice, number, lender, borrower, ways)


def rows(dice, events, ways):
    timed = []
    count, plain = 0, ways.plain
    good = events if plain else events - events // 60
    for life in lives(dice, good, ways):
        for seconds, row in arrivals(dice, life, ways.owned):
            count += 1
            timed.append((seconds, count, row))
        if count >= good:
            break
    timed.sort(key=lambda item: item[:2])
    lines = [write_row(dice, row, plain) for _, _, row in timed[:good]]
    if not plain:
        for place in sorted(dice.sample(range(len(lines)), events - len(lines)), reverse=True):
            lines.insert(place, malformed.line(dice, place))
        # Blank lines are no rows.
        lines = [line + b"\r\n\n" if dice.random() < 0.001 else line for line in lines]
    return lines, [seconds for seconds, _, _ in timed[:good]]


def write_row(dice, row, plain):
    ascii_only = not plain and dice.random() < 0.3
    spaced = not plain and dice.random() < 0.1
    separators = (", ", ": ") if spaced else (",", ":")
    return json.dumps(row, ensure_ascii=ascii_only, separators=separators).encode()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--events", type=int, default=300_000)
    parser.add_argument("--out", required=True)
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("--files", type=int, default=3)
    parser.add_argument("--contracts", action="store_true")
    parser.add_argument("--capacity", type=int)
    parser.add_argument("--priced", action="store_true")
    parser.add_argument("--kinds", action="store_true")
    parser.add_argument("--closing", action="store_true")
    parser.add_argument("--owned", action="store_true")
    args = parser.parse_args()
    dice = random.Random(args.seed)
    os.makedirs(args.out, exist_ok=True)
    lines, times = rows(dice, args.events, args)
    share = -(-len(lines) // args.files)
    until = []
    for index in range(args.files):
        path = os.path.join(args.out, f"intake-{index + 1}.jsonl")
        with open(path, "wb") as file:
            for line in lines[index * share:(index + 1) * share]:
                file.write(line + b"\n")
        # Not to the very last straggler: days cost time.
        last = min((index + 1) * share, len(times) * 19 // 20) - 1
        until.append(date(times[last] + 5 * DAY))
    folder = os.path.join(args.out, "reference")
    whole = args.plain or args.priced
    write_reference(dice, folder, whole, args.contracts, args.capacity)
    if args.kinds:
        write_agreements(dice, folder, args.contracts)
    if args.closing:
        write_remittances(dice, folder)
        with open(os.path.join(args.out, "until"), "w", encoding="utf-8") as file:
            file.write(" ".join(until) + "\n")


if __name__ == "__main__":
    main()
