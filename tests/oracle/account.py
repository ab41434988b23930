"""One loan: what its lender said, its movements, and the fold of the two in business order.

Naive on purpose: everything is kept and folded again from the beginning after every fact.
"""

from reading import DAY_MICROS, DEBT_ONLY, NOTICES, Refused

# Components by number: penalty, fee, interest, principal.
USUAL = (0, 1, 2, 3)
SETTLED = (3, 2, 1, 0)
WRITTEN_OFF = (3, 2, 0, 1)
UNDOES = ("reversal", "return")
PAYS = ("payment", "payoff")


class Booked:
    """What one movement booked: four parts and over, or all of it before any report."""

    __slots__ = ("parts", "before_report", "recovered", "balance", "days")

    def __init__(self, parts, before_report=0, recovered=False, balance=0, days=0):
        self.parts = parts
        self.before_report = before_report
        # whether it came after a charge-off, or takes back what did
        self.recovered = recovered
        # the loan before it
        self.balance = balance
        self.days = days

    def same(self, other):
        """Whether it is the same in the books."""
        mine = (self.parts, self.before_report, self.recovered)
        return mine == (other.parts, other.before_report, other.recovered)


class State:
    """What is owed and over somewhere in a segment, and how the loan stands."""

    def __init__(self, debts, credit=0, settled=0, off=0, orders=None):
        self.debts, self.over = list(debts), 0
        self.credit, self.settled, self.off = credit, settled, off
        self.orders = orders or (USUAL, SETTLED, WRITTEN_OFF)

    def order(self):
        return self.orders[2 if self.off > 0 else 1 if self.settled > 0 else 0]

    def pay(self, money):
        """Lowers the debts, component by component; what is left of the money."""
        for part in self.order():
            taken = min(max(self.debts[part], 0), max(money, 0))
            self.debts[part] -= taken
            money -= taken
        return money

    def act(self, move):
        """A movement that is no reversal."""
        if move.kind in PAYS:
            self.over += self.pay(move.amount)
        elif move.kind == "nsf_fee":
            self.debts[0] += move.amount
        elif move.kind == "waiver":
            self.pay(move.amount)
            self.settled += move.reason == "settlement"
        elif move.kind == "charge_off":
            self.off += 1
        else:
            back = -move.amount
            credit = min(max(self.credit + self.over, 0), back)
            self.over -= credit
            self.debts[3] += back - credit

    def reopen(self, move, booked):
        """A movement that an earlier report has taken into account is undone."""
        if move.kind == "charge_off":
            self.off -= 1
            return
        self.settled -= move.kind == "waiver" and move.reason == "settlement"
        self.over -= booked.parts[4]
        for part, amount in enumerate(booked.parts[:4]):
            lower = min(-amount, max(self.debts[part], 0)) if amount < 0 else -amount
            self.debts[part] -= lower
            self.over += -amount - lower


class Loan:
    """A loan, known from its first accepted report on."""

    def __init__(self, loan_id, orders=None):
        self.loan_id = loan_id
        # the waterfalls of a report, by lender and product
        self.orders = orders or (lambda lender, product: None)
        self.lender = None
        self.borrower = None
        self.reports = {}
        self.movements = {}
        # the copy of each movement that counts, also where it was refused for what it is
        self.seen = {}
        # the reason of each movement that was refused for what it undoes
        self.refused = {}
        # what the last fold found
        self.owed = None
        self.booked = {}
        # the deal in force when a movement was first booked, by its id
        self.read_at = {}
        # since when its lender has closed it, and how it left; what its lender said of that
        self.closed_at = float("inf")
        self.exited = None
        self.notices = {}
        # money paid after that, as it waits
        self.held = {}
        # each movement and what of it was said to the books
        self.said = {}

    @property
    def known(self):
        return bool(self.reports)

    def newest(self):
        return max(self.reports.values(), key=lambda report: (report.at, report.id))

    def take(self, fact):
        """Keeps a fact. Answers whether it changed anything, and the copy that it replaced."""
        if self.known and fact.lender is not None and fact.lender != self.lender:
            raise Refused("foreign_loan", fact.lender)
        kept = self.reports if fact.kind == "report" else self.seen
        if fact.kind in NOTICES and self.known:
            kept = self.notices
        twin = kept.get(fact.id)
        if twin is not None and twin.digest == fact.digest:
            return False, None
        if twin is not None and twin.digest > fact.digest:
            raise Refused("conflict", fact.lender or self.lender)
        kept[fact.id] = fact
        if fact.kind != "report" and kept is not self.notices:
            self.movements[fact.id] = fact
        if self.lender is None and fact.kind == "report":
            self.lender, self.borrower = fact.lender, fact.borrower
        return True, twin

    def comes_late(self, fact):
        """Money paid after its lender closed the loan waits until it is opened again."""
        new = fact.id not in self.seen
        return fact.kind in PAYS and fact.at >= self.closed_at and new

    def hold(self, fact):
        """Keeps money that waits. Answers whether it says anything new, and what it replaced."""
        key = (fact.lender, fact.id)
        twin = self.held.get(key)
        if twin is not None and twin.digest == fact.digest:
            return False, None
        if twin is not None and twin.digest > fact.digest:
            raise Refused("conflict", fact.lender)
        self.held[key] = fact
        return True, twin

    def judge(self):
        """Which movements stand, and which are newly refused for what they name, with the reason.

        What names a movement that is unknown waits. Of several that take one payment back, the
        first in business order does; so it does not matter which of them arrived first.
        """
        backs = (*UNDOES, "chargeback")
        stand = [move for move in self.movements.values() if move.kind not in backs]
        reasons, undone = {}, set()
        for move in sorted(self.movements.values(), key=lambda move: (move.at, move.id)):
            if move.kind not in backs or move.reverses not in self.movements:
                continue
            of = self.movements[move.reverses]
            charged_back = move.kind == "chargeback"
            if of.kind not in (PAYS if charged_back else (*PAYS, *DEBT_ONLY)):
                reasons[move.id] = "reversal_target"
            elif -move.amount > of.amount or not charged_back and of.amount != -move.amount:
                reasons[move.id] = "reversal_amount"
            elif of.id in undone:
                reasons[move.id] = "already_reversed"
            else:
                undone.add(of.id)
                stand.append(move)
        fresh = [
            (self.movements[id_], reason)
            for id_, reason in reasons.items() if self.refused.get(id_) != reason
        ]
        self.refused = reasons
        return stand, fresh

    def fold(self):
        """What is owed, and what each movement booked, from nothing. Answers fresh refusals."""
        stand, fresh = self.judge()
        stand.sort(key=self.place)
        reports = sorted(self.reports.values(), key=lambda report: (report.at, report.id))
        self.booked = {}
        for move in stand:
            if self.place(move)[0] <= reports[0].at:
                self.booked[move.id] = self.early(move)
        for index, report in enumerate(reports):
            until = reports[index + 1].at if index + 1 < len(reports) else float("inf")
            since = [move for move in stand if report.at < self.place(move)[0] <= until]
            before = [move for move in stand if self.place(move)[0] <= report.at]
            now = self.walk(report, before, [])
            for count, move in enumerate(since, 1):
                then, now = now, self.walk(report, before, since[:count])
                self.booked[move.id] = self.difference(move, report, since[:count], then, now)
            self.owed = tuple(now.debts)
        return fresh

    def early(self, move):
        """Money older than the first report changes no balance."""
        if move.kind in UNDOES:
            return Booked((0,) * 5, -self.booked[move.reverses].before_report)
        return Booked((0,) * 5, 0 if move.kind in DEBT_ONLY else move.amount)

    def place(self, move):
        """Business order. A reversal dated before its payment takes effect right after it."""
        if move.reverses in self.movements and move.kind in (*UNDOES, "chargeback"):
            of = self.movements[move.reverses]
            if (move.at, move.id) < (of.at, of.id):
                return (of.at, of.id, move.id)
        return (move.at, move.id, "")

    def walk(self, report, before, moves):
        """Where a report's debt stands after these movements.

        A movement and its reversal, both here, are as if neither had come. A reversal whose
        payment an earlier report has taken into account gives back what that payment booked.
        """
        undone = {move.reverses for move in before if move.kind in UNDOES}
        standing = [move for move in before if move.id not in undone]
        state = State(
            report.owed, sum(self.booked[move.id].parts[4] for move in before),
            sum(one.kind == "waiver" and one.reason == "settlement" for one in standing),
            sum(one.kind == "charge_off" for one in standing),
            self.orders(self.lender, report.product),
        )
        here = {move.id for move in moves}
        gone = {move.reverses for move in moves if move.kind in UNDOES and move.reverses in here}
        for move in moves:
            if move.id in gone or move.kind in UNDOES and move.reverses in gone:
                continue
            if move.kind in UNDOES:
                state.reopen(self.movements[move.reverses], self.booked[move.reverses])
            else:
                state.act(move)
        return state

    def difference(self, move, report, moves, then, now):
        """A movement books the difference that it makes."""
        parts = [a - b for a, b in zip(then.debts, now.debts)]
        over, early = now.over - then.over, 0
        recovered = then.off > 0
        if move.kind == "charge_off":
            # What is charged off stays owed; it leaves the books.
            rest = State(then.debts, 0, then.settled, then.off, then.orders)
            rest.pay(move.amount)
            parts = [a - b for a, b in zip(then.debts, rest.debts)]
        if move.reverses in self.booked and move.kind in (*UNDOES, "chargeback"):
            recovered = self.booked[move.reverses].recovered
        if move.kind in UNDOES:
            back = self.booked[move.reverses]
            if move.reverses not in {other.id for other in moves}:
                early = -back.before_report
            if self.movements[move.reverses].kind == "charge_off":
                parts = [part - gone for part, gone in zip(parts, back.parts)]
        passed = max(move.at // DAY_MICROS - report.at // DAY_MICROS, 0)
        balance = sum(then.debts)
        return Booked((*parts, over), early, recovered, balance, report.days + passed)
