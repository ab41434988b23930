#!/usr/bin/env python3
"""The default program, computed a second time, naively.

    oracle.py --intake FILE... --reference DIR --out DIR [--case loan|borrower] [--lender L]
              [--until DATE...]

Reads canonical JSON lines in the order given, one fact after the other, and writes loans, prices,
placements, statements, refused (counts) and suspense as CSV. It shares no code with the product.
Dispatch is the case without limits: agencies of empty capacity, decided at once. Days pass up to
one date behind the last file, or up to a date of its own behind each.
"""

import argparse
import csv
import os
from collections import Counter, defaultdict

from account import Loan
from clearing import remittances
from contracts import Agreements
from market import SHARE, Market, half_away
from reading import DAY_MICROS, EXITS, NOTICES, Fact, Refused, bucket, date_days, read, use_key
from relations import RELATIONS
from settled import Settled

VALUE_MIN = 0
SWITCH_MARGIN = 1000
UNIT = SHARE * SHARE


class Terms:
    """What pricing and dispatch look at: the newest report, less the movements after it."""

    def __init__(self, loan, day, today):
        newest = loan.newest()
        self.product, self.province, self.score = newest.product, newest.province, newest.score
        self.days = days_past_due(newest, today)
        self.bucket = bucket(self.days)
        self.balance = sum(loan.owed)
        self.lender = loan.lender
        self.day = day
        self.price = None


def days_past_due(report, today):
    """What was reported, and the days that have passed since."""
    passed = 0 if today is None else max(today - report.at // DAY_MICROS, 0)
    return report.days + passed


class Placement:
    """One decision: which agency, at what price, value and commission rate, and when."""

    def __init__(self, desk, price, value, at, rate):
        self.desk, self.price, self.value, self.at, self.rate = desk, price, value, at, rate
        # From when to when it was in force, and the loan as it was placed.
        self.since, self.until = at, float("inf")
        self.days, self.balance = 0, 0
        # How it stands: placed; paid, when the money was in; how its lender took it out; over,
        # when debt came back by other than a reversal, or the loan did, and was to be decided anew.
        self.status = "placed"


class Book:
    """All loans, and what was decided about them in the order in which facts were read."""

    def __init__(self, market, agreements, case):
        self.market = market
        self.agreements = agreements
        self.by_borrower = case == "borrower"
        self.stays = defaultdict(list)
        self.loans = {}
        self.terms = {}
        self.placed = {}
        self.cases = defaultdict(list)
        self.refused = Counter()
        # the newest day tick, and the newest instant of all
        self.today, self.latest = None, 0
        # known loans, in the order in which they appeared
        self.known = []
        self.settled = Settled()

    def take(self, fact):
        loan = self.loans.setdefault(fact.loan, Loan(fact.loan, self.agreements.orders))
        if loan.known:
            self.follow(loan, fact)
            return
        replaced = loan.movements.get(fact.id)
        changed = self.keep(loan, fact)
        if not loan.known:
            if changed:
                self.settled.wait(loan, fact, replaced)
            return
        # The loan appears: its own report comes first, then what waited for it.
        waiting, loan.movements, loan.seen = loan.movements, {}, {}
        self.cases[self.case_key(loan)].append(loan)
        self.known.append(loan)
        self.letter(loan, fact)
        for one in waiting.values():
            self.settled.release(loan, one)
            self.again(loan, one)

    def again(self, loan, fact):
        """What waited is read once more."""
        try:
            self.follow(loan, fact)
        except Refused as no:
            self.refuse(no.lender, no.reason)

    def follow(self, loan, fact):
        """A fact about a loan that is known."""
        foreign = fact.lender is not None and fact.lender != loan.lender
        if not foreign and loan.comes_late(fact):
            changed, twin = loan.hold(fact)
            if twin is not None:
                self.refuse(twin.lender, "conflict")
            if changed:
                self.settled.wait(loan, fact, twin)
            return
        if not self.keep(loan, fact):
            return
        self.letter(loan, fact)
        if fact.kind not in NOTICES:
            return
        if fact.kind == "reopened":
            loan.closed_at = float("inf")
        elif fact.kind != "written_off":
            loan.closed_at = fact.at
        if loan.closed_at == float("inf"):
            held, loan.held = loan.held, {}
            for one in held.values():
                self.settled.release(loan, one)
                self.again(loan, one)

    def pass_days(self, until):
        """Every day after the latest report, up to and including one. Each ages every loan."""
        for day in range(self.latest // DAY_MICROS + 1, until + 1):
            self.today, self.latest = day, day * DAY_MICROS
            self.settled.today = day
            tick = Fact()
            tick.kind, tick.at = "touched", self.latest
            for loan in self.known:
                self.letter(loan, tick)

    def keep(self, loan, fact):
        """Whether a fact says anything new of its loan."""
        moves = fact.kind != "report" and fact.kind not in NOTICES
        stood = loan.movements.get(fact.id) if moves else None
        changed, twin = loan.take(fact)
        if twin is not None:
            self.refuse(twin.lender or loan.lender, "conflict")
        try:
            if changed and loan.known and moves:
                self.agreements.check(fact, self.today)
        except Refused as no:
            if stood is None:
                del loan.movements[fact.id]
            else:
                loan.movements[fact.id] = stood
            raise Refused(no.reason, fact.lender or loan.lender) from None
        return changed

    def refuse(self, lender, reason):
        self.refused[(lender or "", reason)] += 1

    def case_key(self, loan):
        return (loan.lender, loan.borrower) if self.by_borrower else loan.loan_id

    def letter(self, loan, fact):
        """One fact about a known loan: fold, price, decide, attribute, settle."""
        if fact.kind != "touched":
            for reversal, reason in loan.fold():
                self.refuse(reversal.lender or loan.lender, reason)
            self.latest = max(self.latest, loan.newest().at)
        before = self.terms.get(loan.loan_id)
        terms = Terms(loan, fact.at // DAY_MICROS, self.today)
        terms.price = self.market.price(terms)
        self.terms[loan.loan_id] = terms
        waited = before is not None and before.price is not None
        self.turn(loan, fact, waited)
        if fact.kind in ("touched", *NOTICES):
            return
        if fact.kind == "report":
            self.settled.letter(loan)
            return
        placed, stays = self.placed.get(loan.loan_id), self.stays[loan.loan_id]
        on = self.settled.booked_on(fact.at // DAY_MICROS)
        deal = self.agreements.deal(loan, fact, placed, stays, on)
        loan.read_at.setdefault(fact.id, deal)
        self.settled.letter(loan)

    def turn(self, loan, fact, waited):
        """What a fact does to its loan's placement. `waited`: it had a price before."""
        here, placed = self.terms[loan.loan_id], self.placed.get(loan.loan_id)
        case = self.cases[self.case_key(loan)]
        held = [one for one in case if self.is_held(one)]
        desk = self.placed[held[0].loan_id].desk if held else None
        if fact.kind in EXITS or loan.exited and fact.kind != "reopened":
            self.leave(loan, fact)
            if not [one for one in case if self.is_held(one)]:
                self.decide(case, fact)
            return
        if loan.exited:
            # It comes back as if it were new.
            loan.exited, waited = None, False
            if placed is not None:
                placed.status = "over"
        if here.balance <= 0:
            if self.is_held(loan):
                placed.status = "paid"
                placed.until = min(placed.until, fact.at)
            if not [one for one in case if self.is_held(one)]:
                self.decide(case, fact)
        elif self.resumes(placed, desk, fact):
            placed.status = "placed"
            placed.until = float("inf")
        elif desk is None:
            self.lapse(placed)
            self.decide(case, fact)
        elif self.is_held(loan) or (waited and (placed is None or placed.status == "over")):
            if fact.kind in ("report", "touched", "reopened"):
                self.decide_again(case, desk, fact)
        else:
            self.lapse(placed)
            if here.price is not None and self.market.eligible(desk, here):
                self.place([loan], desk, fact)

    def leave(self, loan, fact):
        """A lender takes a loan out of collection, or something comes of one that is out."""
        placed = self.placed.get(loan.loan_id)
        if fact.kind not in EXITS:
            return
        if placed is not None:
            if placed.status == "placed":
                placed.until = min(placed.until, fact.at)
            placed.status = fact.kind
        loan.exited = fact.kind

    def resumes(self, placed, desk, fact):
        """Debt reopened by a reversal goes on where it was, unless its case is elsewhere."""
        paid = placed is not None and placed.status == "paid"
        back = fact.kind in ("reversal", "return", "chargeback", "refund")
        return paid and back and desk in (None, placed.desk)

    def lapse(self, placed):
        if placed is not None and placed.status == "paid":
            placed.status = "over"

    def is_held(self, loan):
        placed = self.placed.get(loan.loan_id)
        return placed is not None and placed.status == "placed"

    def is_open(self, loan):
        terms = self.terms.get(loan.loan_id)
        return terms is not None and terms.price is not None and terms.balance > 0 and (
            loan.exited is None
        )

    def decide(self, case, fact):
        """A case that nobody holds goes where it is worth most."""
        live = [one for one in case if self.is_open(one)]
        best, _ = self.best(live)
        if best is not None:
            self.place(live, best, fact)

    def decide_again(self, case, desk, fact):
        """A case that a desk holds moves only where it is worth more by the margin.

        While one of its placed loans has lost its price, what the case is worth cannot be said.
        """
        held = [one for one in case if self.is_held(one)]
        if not all(self.is_open(one) for one in held):
            return
        live = [one for one in case if self.is_open(one)]
        kept = self.worth(desk, [one for one in live if self.is_held(one)])
        takes_all = all(self.market.eligible(desk, self.terms[one.loan_id]) for one in live)
        if takes_all:
            kept = max(kept, self.worth(desk, live))
        best, value = self.best(live, desk)
        if best is not None and value - kept > SWITCH_MARGIN * UNIT:
            self.place(live, best, fact)
        elif takes_all:
            self.place([one for one in live if not self.is_held(one)], desk, fact)

    def worth(self, desk, loans):
        return sum(self.market.value(desk, self.terms[loan.loan_id]) for loan in loans)

    def best(self, loans, other_than=None):
        """The desk worth most for a case, above the least value; ties to the lowest id."""
        best, most = None, VALUE_MIN * UNIT
        for desk in self.market.desks.values() if loans else ():
            if desk is other_than:
                continue
            if all(self.market.eligible(desk, self.terms[loan.loan_id]) for loan in loans):
                value = self.worth(desk, loans)
                if value > most:
                    best, most = desk, value
        return best, most

    def place(self, loans, desk, fact):
        for loan in loans:
            terms = self.terms[loan.loan_id]
            value = half_away(self.market.value(desk, terms), UNIT)
            rate = self.market.rate(desk, terms)
            placed = Placement(desk, terms.price, value, fact.at, rate)
            placed.days, placed.balance = terms.days, max(terms.balance, 0)
            for stay in self.stays[loan.loan_id]:
                stay.until = min(stay.until, fact.at)
            self.stays[loan.loan_id].append(placed)
            self.placed[loan.loan_id] = placed


def run(intake, reference, case, lender=None, until=()):
    book = Book(Market(reference), Agreements(reference), case)
    book.remittances = remittances(reference)
    for one in book.remittances:
        one.post(book.settled.accounts)
    behind = [None] * (len(intake) - len(until)) + list(until)
    for path, day in zip(intake, behind):
        with open(path, "rb") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                try:
                    fact = read(line.rstrip(b"\r\n"), lender)
                    fact.source = f"{os.path.basename(path)}:{number}"
                    book.take(fact)
                except Refused as no:
                    book.refuse(no.lender, no.reason)
        if day is not None:
            book.pass_days(date_days(day))
    return book


def write(book, out):
    os.makedirs(out, exist_ok=True)
    for name, (header, make) in RELATIONS.items():
        with open(os.path.join(out, name + ".csv"), "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(header.split(","))
            lines = [["" if cell is None else str(cell) for cell in row] for row in make(book)]
            writer.writerows(sorted(lines))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--intake", nargs="+", required=True)
    parser.add_argument("--reference", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--case", choices=("loan", "borrower"), default="borrower")
    parser.add_argument("--lender")
    parser.add_argument("--until", nargs="+", default=())
    parser.add_argument("--key", help="the key file of the deployment that is compared with")
    args = parser.parse_args()
    if args.key:
        use_key(args.key)
    write(run(args.intake, args.reference, args.case, args.lender, args.until), args.out)


if __name__ == "__main__":
    main()
