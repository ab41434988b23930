-- What a loan is worth: its balance, by how much of it such loans bring in, where it is and how
-- good the borrower's score is, less the cost of handling. All factors multiply exactly; the one
-- rounding is the last CAST, half away from zero. No curve or index: no price.

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
        i.balance * c.recovery_rate * i.idx
        * CASE
            WHEN i.score IS NULL THEN 1.000
            WHEN i.score < 450 THEN 0.700
            WHEN i.score < 550 THEN 0.850
            WHEN i.score < 650 THEN 1.000
            WHEN i.score < 750 THEN 1.120
            ELSE 1.250
        END
        - c.handling_cost
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
