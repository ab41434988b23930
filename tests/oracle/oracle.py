#!/usr/bin/env python3
"""The default program, computed a second time, naively.

    oracle.py --intake FILE... --reference DIR --out DIR [--case loan|borrower] [--lender L]

Reads canonical JSON lines in the order given, one fact after the other, and writes loans, prices,
placements, statements, refused (counts) and suspense as CSV. It shares no code with the product.
Dispatch is the case without limits: agencies of empty capacity, decided at once.
"""

import argparse
import csv
import os
from collections import Counter, defaultdict

from account import Loan
from contracts import Agreements
from market import SHARE, Market, half_away
from reading import (
    BUCKETS, DAY_MICROS, DEBT_ONLY, PARTS, Refused, bucket, date_text, instant_text, money, read,
    use_key,
)
from settled import settled

VALUE_MIN = 0
SWITCH_MARGIN = 1000
UNIT = SHARE * SHARE


class Terms:
    """What pricing and dispatch look at: the newest report, less the movements after it."""

    def __init__(self, loan, day):
        newest = loan.newest()
        self.product, self.province, self.score = newest.product, newest.province, newest.score
        self.bucket = bucket(newest.days)
        self.balance = sum(loan.owed)
        self.lender = loan.lender
        self.day = day
        self.price = None


class Placement:
    """One decision: which agency, at what price, value and commission rate, and when."""

    def __init__(self, desk, price, value, at, rate):
        self.desk, self.price, self.value, self.at, self.rate = desk, price, value, at, rate
        # From when to when it was in force, and the loan as it was placed.
        self.since, self.until = at, float("inf")
        self.days, self.balance = 0, 0
        # How it stands: placed; paid, when the money was in; over, when debt came back by other
        # than a reversal and the loan was to be decided anew.
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

    def take(self, fact):
        loan = self.loans.setdefault(fact.loan, Loan(fact.loan, self.agreements.orders))
        new = not loan.known
        if not self.keep(loan, fact) or not loan.known:
            return
        if not new:
            self.letter(loan, fact)
            return
        # The loan appears: its own report comes first, then the movements that waited for it.
        waiting, loan.movements, loan.seen = loan.movements, {}, {}
        self.cases[self.case_key(loan)].append(loan)
        self.letter(loan, fact)
        for movement in waiting.values():
            try:
                if self.keep(loan, movement):
                    self.letter(loan, movement)
            except Refused as no:
                self.refuse(no.lender, no.reason)

    def keep(self, loan, fact):
        """Whether a fact says anything new of its loan."""
        stood = loan.movements.get(fact.id) if fact.kind != "report" else None
        changed, twin = loan.take(fact)
        if twin is not None:
            self.refuse(twin.lender or loan.lender, "conflict")
        try:
            if changed and loan.known:
                self.agreements.check(fact)
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
        """One fact about a known loan: fold, price, decide, attribute."""
        for reversal, reason in loan.fold():
            self.refuse(reversal.lender or loan.lender, reason)
        before = self.terms.get(loan.loan_id)
        terms = Terms(loan, fact.at // DAY_MICROS)
        terms.price = self.market.price(terms)
        self.terms[loan.loan_id] = terms
        waited = before is not None and before.price is not None
        self.turn(loan, fact, waited)
        if fact.kind != "report":
            placed, stays = self.placed.get(loan.loan_id), self.stays[loan.loan_id]
            deal = self.agreements.deal(loan, fact, placed, stays)
            loan.read_at.setdefault(fact.id, deal)

    def turn(self, loan, fact, waited):
        """What a fact does to its loan's placement. `waited`: it had a price before."""
        here, placed = self.terms[loan.loan_id], self.placed.get(loan.loan_id)
        case = self.cases[self.case_key(loan)]
        held = [one for one in case if self.is_held(one)]
        desk = self.placed[held[0].loan_id].desk if held else None
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
            if fact.kind == "report":
                self.decide_again(case, desk, fact)
        else:
            self.lapse(placed)
            if here.price is not None and self.market.eligible(desk, here):
                self.place([loan], desk, fact)

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
        return terms is not None and terms.price is not None and terms.balance > 0

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
            placed.days, placed.balance = loan.newest().days, max(terms.balance, 0)
            for stay in self.stays[loan.loan_id]:
                stay.until = min(stay.until, fact.at)
            self.stays[loan.loan_id].append(placed)
            self.placed[loan.loan_id] = placed


def loan_rows(book):
    for loan in book.loans.values():
        if loan.known:
            newest = loan.newest()
            owed = dict(zip(PARTS, loan.owed))
            yield (
                loan.loan_id, loan.lender, newest.borrower, newest.product, newest.province,
                *(money(owed[part]) for part in ("principal", "interest", "penalty", "fee")),
                money(sum(loan.owed)), newest.days, BUCKETS[bucket(newest.days)],
                date_text(newest.origination), date_text(newest.due), newest.phone, newest.score,
                None if newest.contactable is None else str(newest.contactable).lower(),
                newest.id, instant_text(newest.at),
            )


def price_rows(book):
    for loan in book.loans.values():
        if loan.known:
            terms = book.terms[loan.loan_id]
            price = None if terms.price is None else money(terms.price)
            yield (
                loan.loan_id, loan.lender, terms.product, terms.province,
                BUCKETS[terms.bucket], money(terms.balance), price,
            )


def placement_rows(book):
    for loan in book.loans.values():
        if not loan.known:
            continue
        terms, placed = book.terms[loan.loan_id], book.placed.get(loan.loan_id)
        if placed is None or placed.status == "over":
            status = "unpriced" if terms.price is None else "waiting"
            yield (loan.loan_id, loan.lender, "", "", "", "", "", status)
            continue
        yield (
            loan.loan_id, loan.lender, placed.desk.agency, placed.desk.agency,
            money(placed.price), money(placed.value), instant_text(placed.at),
            placed.status,
        )


def statement_rows(book):
    for key, line in settled(book)[0].items():
        yield (*key, *statement_cells(line))


def month_rows(book):
    months = defaultdict(lambda: [0] * 11)
    for (lender, agency, day, currency), line in settled(book)[0].items():
        month = months[(lender, agency, day[:7] + "-01", currency)]
        for index, amount in enumerate(line):
            month[index] += amount
    for key, line in months.items():
        yield (*key, *statement_cells(line))


def statement_cells(line):
    count, penalty, fee, interest, principal, over, commission, *rest = line
    collected = penalty + fee + interest + principal
    amounts = (
        collected, penalty, fee, interest, principal, over, commission, collected - commission,
        *rest,
    )
    return (count, *(money(amount) for amount in amounts))


def suspense_rows(book):
    for loan in book.loans.values():
        if not loan.known and loan.movements:
            waiting = [
                move.amount for move in loan.movements.values() if move.kind not in DEBT_ONLY
            ]
            if waiting:
                yield loan.loan_id, len(waiting), money(sum(waiting))


def account_rows(book):
    for (account, currency), amount in settled(book)[1].items():
        if amount:
            yield account, currency, money(amount)


RELATIONS = {
    "loans": (
        "loan_id,lender_id,borrower_id,product,province,principal,interest,penalty,fee,balance,"
        "days_past_due,bucket,origination_date,due_date,phone_masked,score,contactable,event_id,"
        "event_time", loan_rows,
    ),
    "prices": ("loan_id,lender_id,product,province,bucket,balance,price", price_rows),
    "placements": (
        "loan_id,lender_id,agency_id,desk_id,price,value,placed_at,status", placement_rows,
    ),
    "statements": (
        "lender_id,agency_id,day,currency,count,collected,penalty,fee,interest,principal,over,"
        "commission,remittance,vat,held,due,invoiced", statement_rows,
    ),
    "statements_monthly": (
        "lender_id,agency_id,month,currency,count,collected,penalty,fee,interest,principal,over,"
        "commission,remittance,vat,held,due,invoiced", month_rows,
    ),
    "refused": (
        "lender_id,reason,count",
        lambda book: ((*key, count) for key, count in book.refused.items()),
    ),
    "suspense": ("loan_id,count,amount", suspense_rows),
    "accounts": ("account,currency,amount", account_rows),
}


def run(intake, reference, case, lender=None):
    book = Book(Market(reference), Agreements(reference), case)
    for path in intake:
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
    parser.add_argument("--key", help="the key file of the deployment that is compared with")
    args = parser.parse_args()
    if args.key:
        use_key(args.key)
    write(run(args.intake, args.reference, args.case, args.lender), args.out)


if __name__ == "__main__":
    main()
