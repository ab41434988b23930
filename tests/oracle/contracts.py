"""What lenders and agencies agreed on beyond a rate: whom money counts for, and what it earns.

Also the lender's own tables: waterfalls by code and who may waive how much.
"""

from market import SHARE, half_away, in_force, rows, scaled

from reading import DAY_MICROS, Refused

# Where days pass, money dated later than this many of them is not believed.
FUTURE_DAYS = 366

# By code, the order of components for debts without instalments: penalty, fee, interest,
# principal are 0 to 3.
ORDERS = {
    "mifos-standard-strategy": (0, 1, 2, 3),
    "creocore-strategy": (0, 1, 2, 3),
    "heavensfamily-strategy": (3, 2, 1, 0),
    "interest-principal-penalties-fees-order-strategy": (2, 3, 0, 1),
    "principal-interest-penalties-fees-order-strategy": (3, 2, 0, 1),
    "early-repayment-strategy": (2, 3, 0, 1),
    "rbi-india-strategy": (0, 1, 2, 3),
    "due-penalty-fee-interest-principal-in-advance-principal-penalty-fee-interest-strategy":
        (0, 1, 2, 3),
    "due-penalty-interest-principal-fee-in-advance-penalty-interest-principal-fee-strategy":
        (0, 2, 3, 1),
    "advanced-payment-allocation-strategy": (0, 1, 2, 3),
}
USUAL = {"standard": (0, 1, 2, 3), "settled": (3, 2, 1, 0), "written_off": (3, 2, 0, 1)}


def half_even(numerator, denominator):
    whole, rest = divmod(numerator, denominator)
    if 2 * rest != denominator:
        return whole + (2 * rest > denominator)
    return whole + whole % 2


class Deal:
    """Under what terms a movement is settled, for good."""

    def __init__(self, agency, rate, contract):
        self.agency, self.rate = agency, rate
        terms = contract or {}
        self.contract = terms.get("contract_id")
        self.even = terms.get("rounding") == "half_even"
        self.tax = scaled(terms.get("vat_rate") or "0", SHARE)
        # The agency sends all that it holds, and is paid its commission.
        self.gross = terms.get("remittance") == "gross"
        self.per_sum = terms.get("rounding_of") == "sum"
        self.least = scaled(terms.get("commission_min") or "0", 100)
        self.most = scaled(terms["commission_max"], 100) if terms.get("commission_max") else None

    def raw(self, collected):
        """Cents times SHARE, within its bounds."""
        product = collected * self.rate
        if product == 0:
            return 0
        size = max(abs(product), self.least * SHARE)
        size = size if self.most is None else min(size, self.most * SHARE)
        return size if product > 0 else -size

    def vat(self, commission):
        return self.rounded(commission * self.tax)

    def rounded(self, raw):
        return half_even(raw, SHARE) if self.even else half_away(raw, SHARE)


class Agreements:
    """Everything of this kind that comes as reference data."""

    def __init__(self, folder):
        self.contracts = rows(folder, "contracts") or []
        self.falls = rows(folder, "waterfalls") or []
        self.limits = {
            row["authority_id"]: scaled(row["waiver_max"], 100)
            for row in rows(folder, "authorities") or []
        }
        desks = rows(folder, "desks") or []
        self.legal = {row["desk_id"] for row in desks if row.get("channel") == "legal"}

    def orders(self, lender, product):
        """Orders of components for the three ways in which a loan may stand."""
        fit = [
            row for row in self.falls
            if row.get("lender_id") in (None, "", lender)
            and row.get("product") in (None, "", product)
        ]
        if not fit:
            return None
        row = max(fit, key=lambda row: (bool(row.get("product")), bool(row.get("lender_id"))))
        return tuple(
            ORDERS[row[name]] if row.get(name) else usual for name, usual in USUAL.items()
        )

    def check(self, fact, today):
        """Money from beyond any calendar; a waiver above what its authority may waive at once."""
        if today is not None and fact.at // DAY_MICROS > today + FUTURE_DAYS:
            raise Refused("future_dated", fact.lender)
        limit = self.limits.get(fact.authority, 0)
        if fact.kind == "waiver" and fact.amount > limit:
            rule = f"beyond_authority:{fact.authority}:{limit // 100}.{limit % 100:02d}"
            raise Refused(rule, fact.lender)

    def contract(self, lender, agency, day):
        for row in self.contracts:
            if (row["lender_id"], row["agency_id"]) == (lender, agency) and in_force(row, day):
                return row
        return None

    def deal(self, loan, fact, placed, stays, on):
        """Whom money counts for: the placement at its place in the log, or by contract that in
        force when it was paid; nobody once the tail after its end is over."""
        if placed is None:
            return None
        day = fact.at // DAY_MICROS
        contract = self.contract(loan.lender, placed.desk.agency, on)
        terms = contract or {}
        stay = placed
        if terms.get("attribution") == "paid_at":
            stay = in_force_at(stays, fact.at)
        tail = terms.get("tail_days")
        if tail and stay.until != float("inf") and day > stay.until // DAY_MICROS + int(tail):
            return None
        if stay.desk is not placed.desk:
            contract = self.contract(loan.lender, stay.desk.agency, on)
        return Deal(stay.desk.agency, self.rate(contract or {}, loan, fact, stay), contract)

    def rate(self, terms, loan, fact, stay):
        rate = stay.rate
        if terms.get("tiers"):
            booked = loan.booked.get(fact.id)
            days, balance = (booked.days, booked.balance) if booked else (0, 0)
            if terms.get("tiers_at") == "placement":
                days, balance = stay.days, stay.balance
            by, unit = (balance, 100) if terms.get("tiers_by") == "balance" else (days, 1)
            rate = 0
            for tier in terms["tiers"].split("|"):
                bound, share = tier.split(":")
                if not bound or by <= int(bound) * unit:
                    rate = scaled(share, SHARE)
                    break
        if stay.desk.agency in self.legal and terms.get("litigation_rate"):
            rate += scaled(terms["litigation_rate"], SHARE)
        return rate


def in_force_at(stays, at):
    """The stay at an instant, of several the one decided last; else the first after it, else the
    last there is."""
    inside = [stay for stay in stays if stay.since <= at <= stay.until]
    after = [stay for stay in stays if at < stay.since <= stay.until]
    if inside:
        return inside[-1]
    return min(after, key=lambda stay: stay.since) if after else stays[-1]
