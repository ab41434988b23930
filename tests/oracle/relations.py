"""What the oracle writes: each relation, its columns, and how its rows are made of the book."""

from collections import defaultdict

from clearing import clearing, waiting_by_age
from reading import BUCKETS, PARTS, bucket, date_text, instant_text, money


def loan_rows(book):
    for loan in book.loans.values():
        if loan.known:
            newest = loan.newest()
            owed = dict(zip(PARTS, loan.owed))
            yield (
                loan.loan_id, loan.lender, newest.borrower, newest.product, newest.province,
                *(money(owed[part]) for part in ("principal", "interest", "penalty", "fee")),
                money(sum(loan.owed)), book.terms[loan.loan_id].days,
                BUCKETS[book.terms[loan.loan_id].bucket],
                date_text(newest.origination), date_text(newest.due), newest.phone, newest.score,
                None if newest.contactable is None else str(newest.contactable).lower(),
                newest.id, instant_text(newest.at),
            )


def price_rows(book):
    for loan in book.loans.values():
        if loan.known:
            terms = book.terms[loan.loan_id]
            price = None if terms.price is None else money(terms.price)
            yield (
                loan.loan_id, loan.lender, terms.product, terms.province,
                BUCKETS[terms.bucket], money(terms.balance), price,
            )


def placement_rows(book):
    for loan in book.loans.values():
        if not loan.known:
            continue
        terms, placed = book.terms[loan.loan_id], book.placed.get(loan.loan_id)
        if placed is None or placed.status == "over":
            status = loan.exited or ("unpriced" if terms.price is None else "waiting")
            yield (loan.loan_id, loan.lender, "", "", "", "", "", status)
            continue
        yield (
            loan.loan_id, loan.lender, placed.desk.agency, placed.desk.agency,
            money(placed.price), money(placed.value), instant_text(placed.at),
            placed.status,
        )


def statement_rows(book):
    for key, line in book.settled.lines.items():
        yield (*key, *statement_cells(line))


def month_rows(book):
    months = defaultdict(lambda: [0] * 11)
    for (lender, agency, day, currency), line in book.settled.lines.items():
        month = months[(lender, agency, day[:7] + "-01", currency)]
        for index, amount in enumerate(line):
            month[index] += amount
    for key, line in months.items():
        yield (*key, *statement_cells(line))


def statement_cells(line):
    count, penalty, fee, interest, principal, over, commission, *rest = line
    collected = penalty + fee + interest + principal
    amounts = (
        collected, penalty, fee, interest, principal, over, commission, collected - commission,
        *rest,
    )
    return (count, *(money(amount) for amount in amounts))


def suspense_rows(book):
    loans = defaultdict(lambda: [0, 0])
    for (loan, _, _), (count, amount, _) in book.settled.suspense.items():
        loans[loan][0] += count
        loans[loan][1] += amount
    for loan, (count, amount) in loans.items():
        if count:
            yield loan, count, money(amount)


def account_rows(book):
    for (account, currency), amount in book.settled.accounts.items():
        if amount:
            yield account, currency, money(amount)


RELATIONS = {
    "loans": (
        "loan_id,lender_id,borrower_id,product,province,principal,interest,penalty,fee,balance,"
        "days_past_due,bucket,origination_date,due_date,phone_masked,score,contactable,event_id,"
        "event_time", loan_rows,
    ),
    "prices": ("loan_id,lender_id,product,province,bucket,balance,price", price_rows),
    "placements": (
        "loan_id,lender_id,agency_id,desk_id,price,value,placed_at,status", placement_rows,
    ),
    "statements": (
        "lender_id,agency_id,day,currency,count,collected,penalty,fee,interest,principal,over,"
        "commission,remittance,vat,held,due,invoiced", statement_rows,
    ),
    "statements_monthly": (
        "lender_id,agency_id,month,currency,count,collected,penalty,fee,interest,principal,over,"
        "commission,remittance,vat,held,due,invoiced", month_rows,
    ),
    "refused": (
        "lender_id,reason,count",
        lambda book: ((*key, count) for key, count in book.refused.items()),
    ),
    "suspense": ("loan_id,count,amount", suspense_rows),
    "accounts": ("account,currency,amount", account_rows),
    "suspense_by_age": (
        "lender_id,currency,days,loans,amount", lambda book: waiting_by_age(book.settled),
    ),
    "remitted": (
        "remittance_id,lender_id,agency_id,currency,received_on,amount,withheld,paid,booked_on",
        lambda book: (remittance.cells() for remittance in book.remittances),
    ),
    "clearing": (
        "lender_id,agency_id,currency,clearing,payable,owed_by_agency,days_0_7,days_8_30,"
        "days_31_60,days_61,prepaid,owed_by_lender",
        lambda book: clearing(book.settled, book.remittances),
    ),
}
