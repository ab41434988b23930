"""One loan: what its lender said, its movements, and the fold of the two in business order.

Naive on purpose: everything is kept and folded again from the beginning after every fact.
"""

from reading import Refused


def fill(debt, paid):
    """How `paid` fills `debt`: penalty, fee, interest, principal, and what is over."""
    parts = []
    for part in debt:
        taken = min(max(part, 0), max(paid, 0))
        parts.append(taken)
        paid -= taken
    return (*parts, paid)


def minus(left, right):
    return tuple(a - b for a, b in zip(left, right))


class Booked:
    """What one movement booked: the four parts and over, or all of it before any report."""

    __slots__ = ("parts", "before_report")

    def __init__(self, parts, before_report=0):
        self.parts = parts
        self.before_report = before_report


class Loan:
    """A loan, known from its first accepted report on."""

    def __init__(self, loan_id):
        self.loan_id = loan_id
        self.lender = None
        self.borrower = None
        self.reports = {}
        self.movements = {}
        # the reason of each movement that was refused for what it undoes
        self.refused = {}
        # what the last fold found
        self.owed = None
        self.booked = {}
        # the placement in force when a movement was read, by its id
        self.read_at = {}

    @property
    def known(self):
        return bool(self.reports)

    def newest(self):
        return max(self.reports.values(), key=lambda report: (report.at, report.id))

    def take(self, fact):
        """Keeps a fact. Answers whether it changed anything, and the copy that it replaced."""
        if self.known and fact.lender is not None and fact.lender != self.lender:
            raise Refused("foreign_loan", fact.lender)
        kept = self.reports if fact.kind == "report" else self.movements
        twin = kept.get(fact.id)
        if twin is not None and twin.digest == fact.digest:
            return False, None
        if twin is not None and twin.digest > fact.digest:
            raise Refused("conflict", fact.lender or self.lender)
        kept[fact.id] = fact
        if self.lender is None and fact.kind == "report":
            self.lender, self.borrower = fact.lender, fact.borrower
        return True, twin

    def judge(self):
        """Which movements stand, and which reversals are newly refused, with the reason.

        A reversal whose payment is unknown waits. Of several that undo one payment, the first in
        business order does; so it does not matter which of them arrived first.
        """
        stand = [move for move in self.movements.values() if move.kind == "payment"]
        reasons, undone = {}, set()
        for move in sorted(self.movements.values(), key=lambda move: (move.at, move.id)):
            if move.kind == "payment" or move.reverses not in self.movements:
                continue
            payment = self.movements[move.reverses]
            if payment.kind != "payment":
                reasons[move.id] = "reversal_target"
            elif payment.amount != -move.amount:
                reasons[move.id] = "reversal_amount"
            elif payment.id in undone:
                reasons[move.id] = "already_reversed"
            else:
                undone.add(payment.id)
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
        early = [move for move in stand if self.place(move)[0] <= reports[0].at]
        for move in early:
            self.booked[move.id] = Booked((0,) * 5, move.amount)
        for index, report in enumerate(reports):
            until = reports[index + 1].at if index + 1 < len(reports) else float("inf")
            since = [move for move in stand if report.at < self.place(move)[0] <= until]
            state = (report.owed, 0)
            for count, move in enumerate(since, 1):
                before, state = state, self.walk(report.owed, since[:count])
                self.booked[move.id] = self.difference(move, since[:count], before, state)
            self.owed = state[0]
        return fresh

    def place(self, move):
        """Business order. A reversal dated before its payment takes effect right after it."""
        if move.kind == "reversal":
            payment = self.movements[move.reverses]
            if (move.at, move.id) < (payment.at, payment.id):
                return (payment.at, payment.id, move.id)
        return (move.at, move.id, "")

    def walk(self, debt, moves):
        """What is left of a report's debt, and over, after these movements.

        A payment and its reversal, both here, are as if neither had come. A reversal whose
        payment an earlier report has taken into account gives back what that payment booked.
        """
        here = {move.id for move in moves}
        undone = {move.reverses for move in moves if move.reverses in here}
        paid, over = 0, 0
        for move in moves:
            if move.id in undone or move.reverses in undone:
                continue
            if move.kind == "payment":
                paid += move.amount
                continue
            back = self.booked[move.reverses].parts
            filled = fill(debt, paid)
            debt = tuple(a - b + c for a, b, c in zip(debt, filled, back))
            paid, over = 0, over + filled[4] - back[4]
        filled = fill(debt, paid)
        return minus(debt, filled[:4]), over + filled[4]

    def difference(self, move, moves, before, after):
        """A movement books the difference that it makes."""
        parts = (*minus(before[0], after[0]), after[1] - before[1])
        if move.kind == "reversal" and move.reverses not in {other.id for other in moves}:
            return Booked(parts, -self.booked[move.reverses].before_report)
        return Booked(parts)
