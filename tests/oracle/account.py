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
        # payment_id → the id of the reversal that undoes it
        self.undone_by = {}
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
        """Keeps a fact. Answers whether it changed anything, and the refused facts and reasons."""
        if self.known and fact.lender is not None and fact.lender != self.lender:
            raise Refused("foreign_loan", fact.lender)
        kept = self.reports if fact.kind == "report" else self.movements
        twin = kept.get(fact.id)
        if twin is not None:
            if twin.digest == fact.digest:
                return False, []
            loser = fact if twin.digest > fact.digest else twin
            if loser is fact:
                raise Refused("conflict", fact.lender)
            kept[fact.id] = fact
            return True, [(twin, "conflict")]
        refused = []
        if fact.kind == "reversal":
            self._check_reversal(fact)
            self.undone_by[fact.reverses] = fact.id
        if fact.kind == "payment":
            refused = self._check_waiting_reversal(fact)
        kept[fact.id] = fact
        if fact.kind == "report" and self.lender is None:
            self.lender, self.borrower = fact.lender, fact.borrower
        return True, refused

    def _check_reversal(self, fact):
        if fact.reverses in self.undone_by:
            raise Refused("already_reversed", fact.lender)
        payment = self.movements.get(fact.reverses)
        if payment is not None and payment.amount != -fact.amount:
            raise Refused("reversal_amount", fact.lender)

    def _check_waiting_reversal(self, payment):
        """A reversal that came before its payment is judged when the payment comes."""
        reversal = self.movements.get(self.undone_by.get(payment.id))
        if reversal is None or reversal.amount == -payment.amount:
            return []
        del self.movements[reversal.id]
        del self.undone_by[payment.id]
        return [(reversal, "reversal_amount")]

    def fold(self):
        """What is owed, and what each movement booked, from nothing."""
        reports = sorted(self.reports.values(), key=lambda report: (report.at, report.id))
        moves = sorted(self.movements.values(), key=lambda move: (move.at, move.id))
        moves = [m for m in moves if m.kind == "payment" or m.reverses in self.movements]
        self.booked = {}
        for move in moves:
            if move.at <= reports[0].at:
                self.booked[move.id] = Booked((0,) * 5, move.amount)
        for index, report in enumerate(reports):
            last = index + 1 == len(reports)
            until = None if last else reports[index + 1].at
            since = [m for m in moves if report.at < m.at and (last or m.at <= until)]
            self.owed = self._segment(report.owed, since)

    def _segment(self, debt, moves):
        """Fills one report's debt with the movements between it and the next report."""
        paid = 0
        here = set()
        for move in moves:
            if move.kind == "reversal" and move.reverses not in here \
                    and move.reverses in self.booked:
                # Its payment is in what an earlier report said: give back what that booked,
                # and go on from the debt as it then stands.
                back = self.booked[move.reverses]
                self.booked[move.id] = Booked(
                    tuple(-part for part in back.parts), -back.before_report
                )
                left = minus(debt, fill(debt, paid)[:4])
                debt = tuple(a + b for a, b in zip(left, back.parts[:4]))
                paid, here = 0, set()
                continue
            here.add(move.id)
            before, paid = fill(debt, paid), paid + move.amount
            self.booked[move.id] = Booked(minus(fill(debt, paid), before))
        return minus(debt, fill(debt, paid)[:4])
