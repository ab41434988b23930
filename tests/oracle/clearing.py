"""What passes between lenders and agencies: remittances, and who owes whom what, by age."""

from collections import defaultdict

from market import rows, scaled
from reading import date_days, date_text, money


class Remittance:
    """One row of the table; it counts once, by its id. Posted before any day is closed."""

    def __init__(self, row):
        self.id, self.lender, self.agency = (
            row[name] for name in ("remittance_id", "lender_id", "agency_id")
        )
        self.currency, self.received_on = row["currency"], date_days(row["received_on"])
        self.amount, self.withheld, self.paid = (
            scaled(row.get(name) or "0", 100) for name in ("amount", "withheld", "paid")
        )

    def post(self, accounts):
        accounts[("bank", self.currency)] += self.amount - self.paid
        accounts[("agency_payable", self.currency)] += self.withheld + self.paid
        accounts[("agency_clearing", self.currency)] -= self.amount + self.withheld

    def cells(self):
        day = date_text(self.received_on)
        sums = (money(amount) for amount in (self.amount, self.withheld, self.paid))
        return (self.id, self.lender, self.agency, self.currency, day, *sums, day)


def remittances(folder):
    found = {}
    for row in rows(folder, "remittances") or []:
        found.setdefault(row["remittance_id"], Remittance(row))
    return list(found.values())


def clearing(settled, remitted):
    """One row per lender, agency and currency. What came in pays the oldest day first."""
    days = defaultdict(list)
    for (lender, agency, day, currency), line in settled.lines.items():
        if agency:
            days[(lender, agency, currency)].append((date_days(day), line))
    newest = settled.today
    if newest is None:
        newest = max((date_days(day) for _, _, day, _ in settled.lines), default=0)
    received = defaultdict(lambda: [0, 0, 0])
    for one in remitted:
        sums = received[(one.lender, one.agency, one.currency)]
        for index, amount in enumerate((one.amount, one.withheld, one.paid)):
            sums[index] += amount
    for key in {**days, **received}:
        amount, withheld, paid = received.get(key, (0, 0, 0))
        held = fees = due = invoiced = 0
        left, open_by_age = amount, [0, 0, 0, 0]
        for _, line in days[key]:
            fees += line[6] + line[7]
            held, due, invoiced = held + line[8], due + line[9], invoiced + line[10]
            left -= min(line[9], 0)
        for day, line in sorted(days[key], key=lambda pair: pair[0]):
            paid_off = min(max(line[9], 0), left)
            left -= paid_off
            open_by_age[age_class(newest - day)] += max(line[9], 0) - paid_off
        sums = (
            held - amount - withheld, fees - withheld - paid, due - amount, *open_by_age, left,
            invoiced - paid,
        )
        yield (*key, *(money(cents) for cents in sums))


def age_class(days):
    return 0 if days <= 7 else 1 if days <= 30 else 2 if days <= 60 else 3


AGES = ("0-7", "8-30", "31-60", "61+")


def waiting_by_age(settled):
    """Money in suspense by lender, currency and age: how many loans, and how much."""
    classes = defaultdict(lambda: [0, 0])
    newest = settled.newest if settled.today is None else settled.today
    for (_, lender, currency), (_, amount, since) in settled.suspense.items():
        if amount:
            found = classes[(lender, currency, AGES[age_class(newest - since)])]
            found[0] += 1
            found[1] += amount
    for key, (loans, amount) in classes.items():
        yield (*key, loans, money(amount))
