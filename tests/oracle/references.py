"""Reference files for generated intake: complete enough to price most loans, not all."""

import csv
import os

LENDERS = ("L001", "L002", "L003", "L004", "L005", "L006")
PRODUCTS = ("cash", "cash", "card", "card", "auto", "现金贷", "rare")
PROVINCES = ("11", "31", "31", "44", "44", "50", "台北", "99")
BUCKETS = ("0", "1-30", "31-60", "61-90", "91-180", "181-360", "361+")
BASE = (9300, 7200, 4800, 3100, 1900, 900, 310)


def write_reference(dice, folder, plain, contracts, capacity=None):
    os.makedirs(folder, exist_ok=True)
    products = sorted(set(PRODUCTS))
    curve = []
    for product in products:
        for bucket, base in zip(BUCKETS, BASE):
            # Without a row a loan has no price: the product `rare`, and old auto loans.
            if not plain and (product == "rare" or (product, bucket) == ("auto", "361+")):
                continue
            rate = base + dice.randint(-200, 200)
            curve.append((product, bucket, f"0.{rate:04d}", f"{dice.randint(0, 1500) / 100:.2f}"))
    write(folder, "curve", "product,bucket,recovery_rate,handling_cost", curve)
    market = [
        (province, product, f"{dice.randint(8000, 12500) / 10000:.4f}")
        for province in sorted(set(PROVINCES))
        for product in products
        if plain or province != "99"
    ]
    write(folder, "market", "province,product,idx", market)
    agencies = [agency(dice, number, products) for number in range(1, 13)]
    # Two equals: the tie goes to the lower id.
    agencies.append(("A03b", *agencies[2][1:]))
    if capacity is not None:
        agencies = [(*row[:6], share, *row[7:]) for row, share in shares(dice, agencies, capacity)]
    write(
        folder, "agencies",
        "agency_id,provinces,products,bucket_min,bucket_max,unit_cost,capacity,"
        "commission_by_bucket,perf_by_bucket", agencies,
    )
    if contracts:
        write(
            folder, "contracts",
            "contract_id,lender_id,agency_id,valid_from,valid_to,discount,remittance",
            [
                (f"C{lender}{row[0]}", lender, row[0], "2020-01-01", "2030-12-31",
                 dice.choice(("0.00", "0.10", "0.25")), dice.choice(("net", "gross")))
                for lender in LENDERS for row in agencies if dice.random() < 0.6
            ],
        )


def shares(dice, agencies, capacity):
    """Deals out a capacity unevenly: a few agencies have most of it, one has none."""
    weights = [0, *(dice.random() ** 2 for _ in agencies[1:])]
    for row, weight in zip(agencies, weights):
        yield row, int(capacity * weight / sum(weights))


def agency(dice, number, products):
    provinces = sorted(set(PROVINCES))
    first = dice.choice((0, 0, 1, 2, 3))
    last = dice.choice([index for index in (2, 4, 6, 6) if index >= first])
    commission = sorted(dice.randint(5, 48) for _ in BUCKETS)
    perf = [dice.randint(70, 130) for _ in BUCKETS]
    return (
        f"A{number:02d}",
        "" if number % 3 == 0 else "|".join(sorted(dice.sample(provinces, 4))),
        "" if number % 2 == 0 else "|".join(sorted(dice.sample(products, 4))),
        BUCKETS[first],
        BUCKETS[last],
        f"{dice.randint(0, 2500) / 100:.2f}",
        "",
        "|".join(f"0.{rate:02d}" for rate in commission),
        "|".join(f"{rate / 100:.2f}" for rate in perf),
    )


def write(folder, name, header, rows):
    with open(os.path.join(folder, name + ".csv"), "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header.split(","))
        writer.writerows(rows)
