"""The reference files, the price of a loan, and the value of a desk for it. All integers, exact."""

import csv
import os
from decimal import Decimal

from reading import BUCKETS, date_days

# Rates and indices have 4 digits, the score factor 3, yields and commissions 6.
RATE, SCORE, SHARE = 10**4, 10**3, 10**6


def half_away(numerator, denominator):
    """Rounds a fraction to the nearest integer, halves away from zero."""
    rounded = (2 * abs(numerator) + denominator) // (2 * denominator)
    return -rounded if numerator < 0 else rounded


def scaled(text, scale):
    value = Decimal(text) * scale
    whole = int(value)
    assert whole == value, f"{text} has more digits than {scale} holds"
    return whole


def rows(folder, name):
    path = os.path.join(folder, name + ".csv")
    if not os.path.exists(path):
        return None
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def listed(text):
    return set(text.split("|")) if text else None


class Desk:
    """An agency as one desk."""

    def __init__(self, row):
        self.agency = row["agency_id"]
        self.provinces = listed(row["provinces"])
        self.products = listed(row["products"])
        self.first = BUCKETS.index(row["bucket_min"]) if row["bucket_min"] else 0
        self.last = BUCKETS.index(row["bucket_max"]) if row["bucket_max"] else 6
        self.unit_cost = scaled(row["unit_cost"], 100)
        self.commission = [scaled(c, SHARE) for c in row["commission_by_bucket"].split("|")]
        self.perf = [scaled(p, SHARE) for p in row["perf_by_bucket"].split("|")]
        assert len(self.commission) == 7, f"{self.agency} needs 7 commissions"
        assert len(self.perf) == 7, f"{self.agency} needs 7 yields"

    def takes(self, terms):
        return (
            self.first <= terms.bucket <= self.last
            and (self.provinces is None or terms.province in self.provinces)
            and (self.products is None or terms.product in self.products)
        )


class Market:
    """Everything that comes as reference data."""

    def __init__(self, folder):
        self.curve = {
            (row["product"], BUCKETS.index(row["bucket"])): (
                scaled(row["recovery_rate"], RATE),
                scaled(row["handling_cost"], 100),
            )
            for row in rows(folder, "curve") or []
        }
        self.index = {
            (row["province"], row["product"]): scaled(row["idx"], RATE)
            for row in rows(folder, "market") or []
        }
        desks = [Desk(row) for row in rows(folder, "agencies") or []]
        self.desks = {desk.agency: desk for desk in sorted(desks, key=lambda d: d.agency)}
        self.contracts = rows(folder, "contracts")

    def price(self, terms):
        """Cents, or None where the curve or the index has no row."""
        rates = self.curve.get((terms.product, terms.bucket))
        index = self.index.get((terms.province, terms.product))
        if rates is None or index is None:
            return None
        recovery, handling = rates
        scale = RATE * RATE * SCORE
        exact = terms.balance * recovery * index * score_factor(terms.score) - handling * scale
        return half_away(exact, scale)

    def rate(self, desk, terms):
        """The commission rate of a desk for a loan of these terms, or None without a contract."""
        commission = desk.commission[terms.bucket]
        if self.contracts is None:
            return commission
        for row in self.contracts:
            if (row["lender_id"], row["agency_id"]) == (terms.lender, desk.agency) and (
                in_force(row, terms.day)
            ):
                discount = scaled(row.get("discount") or "0", SHARE)
                return half_away(commission * (SHARE - discount), SHARE)
        return None

    def value(self, desk, terms):
        """What a desk is worth for a loan, in cents times SHARE squared, exact."""
        rate = self.rate(desk, terms)
        if rate is None:
            # It may no longer be chosen, but a case that it holds is still worth something there.
            rate = desk.commission[terms.bucket]
        earned = terms.price * desk.perf[terms.bucket] * (SHARE - rate)
        return earned - desk.unit_cost * SHARE * SHARE

    def eligible(self, desk, terms):
        return desk.takes(terms) and self.rate(desk, terms) is not None


def in_force(row, day):
    first, last = date_days(row.get("valid_from")), date_days(row.get("valid_to"))
    return (first is None or first <= day) and (last is None or day <= last)


def score_factor(score):
    if score is None:
        return 1000
    for limit, factor in ((450, 700), (550, 850), (650, 1000), (750, 1120)):
        if score < limit:
            return factor
    return 1250
