"""What every movement comes to: statement lines, what each account holds, and what waits."""

from collections import defaultdict

from reading import DAY_MICROS, DEBT_ONLY, NOTICES, day_text

BACK = ("reversal", "return", "chargeback")
RECEIVABLE = ("receivable_penalty", "receivable_fee", "receivable_interest",
              "receivable_principal")
WHY = {"nsf_fee": "fee_income", "waiver": "waiver_cost", "charge_off": "bad_debt"}


CLOSE_AFTER_DAYS = 3


class Settled:
    """Statement lines and accounts, letter by letter: what a closed day misses, an open one has."""

    def __init__(self):
        self.lines = defaultdict(lambda: [0] * 11)
        self.accounts = defaultdict(int)
        # commission before rounding, of contracts that round the sum of a day
        self.sums = defaultdict(int)
        # by loan, lender and currency as given: how many wait, their money, since when
        self.suspense = defaultdict(lambda: [0, 0, None])
        # the newest day tick, and the newest day that anything was booked on
        self.today, self.newest = None, 0

    def booked_on(self, day):
        """Its own day, or the first open one once that is closed."""
        return day if self.today is None else max(day, self.today - CLOSE_AFTER_DAYS + 1)

    def wait(self, loan, move, replaced):
        """Money of a loan that is not known, or closed."""
        if replaced is not None:
            self.suspend(loan, replaced, -1)
        self.suspend(loan, move, 1)

    def release(self, loan, move):
        self.suspend(loan, move, -1)

    def suspend(self, loan, move, sign):
        if move.kind in DEBT_ONLY or move.kind in NOTICES:
            return
        currency = move.currency or ""
        self.accounts[("bank", currency)] += sign * move.amount
        self.accounts[("suspense", currency)] -= sign * move.amount
        held = self.suspense[(loan.loan_id, move.lender or "", currency)]
        on = self.booked_on(move.at // DAY_MICROS)
        self.newest = max(self.newest, on)
        held[0] += sign
        held[1] += sign * move.amount
        held[2] = on if held[2] is None else min(held[2], on)

    def letter(self, loan):
        """What changed in the bookings of a loan since its last letter."""
        then, loan.said = loan.said, {}
        for id_, booked in loan.booked.items():
            loan.said[id_] = (loan.movements[id_], booked)
        nothing = (None, None)
        for id_ in (*then, *(id_ for id_ in loan.said if id_ not in then)):
            (old, was), (new, now) = then.get(id_, nothing), loan.said.get(id_, nothing)
            if old is None:
                self.change(loan, new, None, now)
            elif new is None:
                self.change(loan, old, was, None)
            elif old is not new:
                self.change(loan, old, was, None)
                self.change(loan, new, None, now)
            elif was.same(now):
                continue
            else:
                self.change(loan, new, was, now)

    def change(self, loan, move, then, now):
        """A movement booked one thing, or nothing, and books another."""
        on = self.booked_on(move.at // DAY_MICROS)
        self.newest = max(self.newest, on)
        of = loan.movements.get(move.reverses) if move.kind in BACK else None
        currency = loan.newest().currency
        kind = of.kind if of is not None and of.kind in DEBT_ONLY else move.kind
        for booked, sign in ((then, -1), (now, 1)):
            if booked is not None and kind in DEBT_ONLY:
                Post(self.accounts, currency, sign).debt(kind, booked)
        if kind in DEBT_ONLY:
            return
        deal = loan.read_at[move.id if of is None else of.id]
        agency = deal.agency if deal else ""
        collected = [sum(booked.parts[:4]) if booked else 0 for booked in (then, now)]
        commission = vat = 0
        if deal and move.kind != "refund":
            commission, vat = self.commission(deal, collected, on, currency)
        channel = (move if of is None else of).channel
        by_agency = agency and channel == "agency" and move.kind != "payoff"
        line = self.lines[(loan.lender, agency, day_text(on * DAY_MICROS), currency)]
        line[0] += (now is not None) - (then is not None)
        held = 0
        for booked, sign in ((then, -1), (now, 1)):
            if booked is None:
                continue
            post = Post(self.accounts, currency, sign)
            post.money("agency_clearing" if by_agency else "bank", booked)
            for index, amount in enumerate(booked.parts, 1):
                line[index] += sign * amount
            if by_agency:
                held += sign * (sum(booked.parts) + booked.before_report)
        fee = commission + vat
        due, invoiced = (held, fee) if deal and deal.gross else (held - fee, 0)
        for index, amount in enumerate((commission, vat, held, due, invoiced), 6):
            line[index] += amount
        post = Post(self.accounts, currency, 1)
        post.line("collection_cost", commission)
        post.line("input_vat", vat)
        post.line("agency_payable", -commission - vat)

    def commission(self, deal, collected, day, currency):
        then, now = (deal.raw(amount) for amount in collected)
        if deal.per_sum:
            key = (deal.agency, deal.contract, deal.rate, day, currency)
            before = self.sums[key]
            then, now = before, before + now - then
            self.sums[key] = now
        then, now = deal.rounded(then), deal.rounded(now)
        return now - then, deal.vat(now) - deal.vat(then)


class Post:
    """The lines of one movement, or those that take them back."""

    def __init__(self, accounts, currency, sign):
        self.accounts, self.currency, self.sign = accounts, currency, sign

    def line(self, account, amount):
        self.accounts[(account, self.currency or "")] += self.sign * amount

    def money(self, way, booked):
        self.line(way, sum(booked.parts) + booked.before_report)
        for account, amount in zip(RECEIVABLE, booked.parts):
            self.line("recovery_income" if booked.recovered else account, -amount)
        self.line("borrower_credit", -booked.parts[4])
        self.line("before_report", -booked.before_report)

    def debt(self, kind, booked):
        """Debt that changes without money; what is written off is in no account any more."""
        parts = (0, 0, 0, 0, booked.parts[4]) if booked.recovered else booked.parts
        self.line(WHY[kind], sum(parts))
        for account, amount in zip(RECEIVABLE, parts):
            self.line(account, -amount)
        self.line("borrower_credit", -parts[4])
