"""What every movement comes to in the end: statement lines, and what each account holds."""

from collections import defaultdict

from reading import DAY_MICROS, DEBT_ONLY, day_text

BACK = ("reversal", "return", "chargeback")
RECEIVABLE = ("receivable_penalty", "receivable_fee", "receivable_interest",
              "receivable_principal")
WHY = {"nsf_fee": "fee_income", "waiver": "waiver_cost", "charge_off": "bad_debt"}


class Settled:
    """Sums while they grow."""

    def __init__(self):
        self.lines = defaultdict(lambda: [0] * 11)
        self.accounts = defaultdict(int)
        # commission before rounding, of contracts that round the sum of a day
        self.sums = defaultdict(int)

    def movement(self, loan, move, booked):
        of = loan.movements.get(move.reverses) if move.kind in BACK else None
        currency = loan.newest().currency
        kind = of.kind if of is not None and of.kind in DEBT_ONLY else move.kind
        post = Post(self.accounts, currency)
        if kind in DEBT_ONLY:
            return post.debt(kind, booked)
        deal = loan.read_at[move.id if of is None else of.id]
        agency = deal.agency if deal else ""
        collected = sum(booked.parts[:4])
        commission = vat = 0
        if deal and move.kind != "refund":
            commission, vat = self.commission(deal, collected, move.at // DAY_MICROS, currency)
        channel = (move if of is None else of).channel
        by_agency = agency and channel == "agency" and move.kind != "payoff"
        held = sum(booked.parts) + booked.before_report if by_agency else 0
        fee = commission + vat
        due, invoiced = (held, fee) if deal and deal.gross else (held - fee, 0)
        line = self.lines[(loan.lender, agency, day_text(move.at), currency)]
        said = (1, *booked.parts, commission, vat, held, due, invoiced)
        for index, amount in enumerate(said):
            line[index] += amount
        post.money("agency_clearing" if by_agency else "bank", booked)
        post.line("collection_cost", commission)
        post.line("input_vat", vat)
        post.line("agency_payable", -commission - vat)
        return None

    def commission(self, deal, collected, day, currency):
        raw, before = deal.raw(collected), 0
        if deal.per_sum:
            key = (deal.agency, deal.contract, deal.rate, day, currency)
            before = self.sums[key]
            raw += before
            self.sums[key] = raw
        then, now = deal.rounded(before), deal.rounded(raw)
        return now - then, deal.vat(now) - deal.vat(then)


class Post:
    """The lines of one movement."""

    def __init__(self, accounts, currency):
        self.accounts, self.currency = accounts, currency

    def line(self, account, amount):
        self.accounts[(account, self.currency or "")] += amount

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


def settled(book):
    """Statement lines by key, and accounts by name and currency."""
    found = Settled()
    for loan in book.loans.values():
        if not loan.known:
            for move in loan.movements.values():
                if move.kind not in DEBT_ONLY:
                    found.accounts[("bank", move.currency or "")] += move.amount
                    found.accounts[("suspense", move.currency or "")] -= move.amount
            continue
        loan.fold()
        for id_, booked in loan.booked.items():
            found.movement(loan, loan.movements[id_], booked)
    return found.lines, found.accounts
