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


def write_agreements(dice, folder, contracts):
    """Who may waive, in which order money is taken, and contracts of every sort."""
    write(folder, "authorities", "authority_id,waiver_max",
          [("board", "100000.00"), ("lead", "200.00")])
    write(folder, "waterfalls", "lender_id,product,standard,settled,written_off", [
        ("L002", "", "interest-principal-penalties-fees-order-strategy", "", ""),
        ("", "card", "principal-interest-penalties-fees-order-strategy",
         "mifos-standard-strategy", "heavensfamily-strategy"),
        ("L003", "card", "", "", "rbi-india-strategy"),
    ])
    if not contracts:
        return
    path = os.path.join(folder, "contracts.csv")
    with open(path, newline="", encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    chosen = dice.choice
    for row in found:
        row["attribution"] = chosen(("", "log", "paid_at", "paid_at"))
        row["rounding"] = chosen(("", "half_away", "half_even"))
        row["rounding_of"] = chosen(("", "line", "sum"))
        row["remittance"] = chosen(("", "net", "gross"))
        row["tail_days"] = chosen(("", "0", "10", "45"))
        row["tiers"] = chosen(("", "60:0.12|120:0.2|360:0.3|:0.45", "90:0.25|:0.335", "500:0.4|:0"))
        row["tiers_by"] = chosen(("", "days_past_due", "balance")) if row["tiers"] else ""
        row["tiers_at"] = chosen(("", "payment", "placement")) if row["tiers"] else ""
        row["commission_min"] = chosen(("", "", "1.00"))
        row["commission_max"] = chosen(("", "", "75.50"))
        row["vat_rate"] = chosen(("", "0.06"))
    write(folder, "contracts", ",".join(found[0]), [tuple(row.values()) for row in found])


def write_remittances(dice, folder):
    """What agencies send now and then: too little, too much, with and without their commission."""
    chosen, found = dice.choice, []
    for number in range(60):
        amount, day = dice.randint(1_000, 900_000), dice.randint(1, 28)
        withheld, paid = chosen((0, amount // 5)), chosen((0, 0, amount // 9))
        found.append((
            f"R{number:03d}", chosen(LENDERS), f"A{dice.randint(1, 12):02d}", "CNY",
            f"2026-{dice.randint(1, 9):02d}-{day:02d}",
            *(f"{cents // 100}.{cents % 100:02d}" for cents in (amount, withheld, paid)),
        ))
    write(folder, "remittances", "remittance_id,lender_id,agency_id,currency,received_on,amount,"
          "withheld,paid", found)


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
