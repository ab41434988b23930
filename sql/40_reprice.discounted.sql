-- What a loan is worth, in full: the cash that is expected of it month by month, less commission
-- and the work of that month, discounted to today; then by where it is and how good the borrower's
-- score is. Months, commission, servicing cost and discount rate are columns of `curve`; without
-- one of them, or without an index: no price. The one rounding is the last CAST, half away from
-- zero. In the place of 40_reprice.sql where program.pricing = "discounted".

CREATE VIEW indexed AS
SELECT
    s.shard,
    s.seq,
    s.row,
    s.kind,
    s.at,
    s.borrower_key,
    s.loan_id,
    s.lender_id,
    s.product,
    s.province,
    s.currency,
    s.balance,
    s.days_past_due,
    s.bucket,
    s.score,
    s.event_time,
    m.idx AS idx
FROM market AS m
RIGHT JOIN stamped AS s ON m.province = s.province AND m.product = s.product;

CREATE VIEW priced AS
SELECT
    i.shard,
    i.seq,
    i.row,
    i.kind,
    i.at,
    i.borrower_key,
    i.loan_id,
    i.lender_id,
    i.product,
    i.province,
    i.currency,
    i.balance,
    i.days_past_due,
    i.bucket,
    i.event_time,
    CAST(
        present_value(
            i.balance, c.months, c.commission_rate, c.servicing_cost, c.discount_rate
        )
        * i.idx
        * CASE
            WHEN i.score IS NULL THEN 1.000
            WHEN i.score < 450 THEN 0.700
            WHEN i.score < 550 THEN 0.850
            WHEN i.score < 650 THEN 1.000
            WHEN i.score < 750 THEN 1.120
            ELSE 1.250
        END
    AS DECIMAL(18, 2)) AS price
FROM curve AS c
RIGHT JOIN indexed AS i ON c.product = i.product AND c.bucket = i.bucket;

INSERT INTO book.prices
SELECT
    shard,
    loan_id,
    lender_id,
    product,
    province,
    bucket,
    balance,
    price,
    currency
FROM priced
WHERE loan_id IS NOT NULL;
