-- What people ask of a month: views over the relations that leave the program. They hold nothing
-- of their own, so they say the same of the same log, whoever asks and whenever.

-- Statement lines by month. A month is closed when its last day is: from then on it never changes,
-- and what still concerns it is a correction on a later day.
CREATE VIEW statements_monthly AS
SELECT
    lender_id,
    agency_id,
    CAST(DATE_TRUNC('month', day) AS DATE) AS month,
    currency,
    SUM(count) AS count,
    CAST(SUM(collected) AS DECIMAL(18, 2)) AS collected,
    CAST(SUM(penalty) AS DECIMAL(18, 2)) AS penalty,
    CAST(SUM(fee) AS DECIMAL(18, 2)) AS fee,
    CAST(SUM(interest) AS DECIMAL(18, 2)) AS interest,
    CAST(SUM(principal) AS DECIMAL(18, 2)) AS principal,
    CAST(SUM("over") AS DECIMAL(18, 2)) AS "over",
    CAST(SUM(commission) AS DECIMAL(18, 2)) AS commission,
    CAST(SUM(remittance) AS DECIMAL(18, 2)) AS remittance,
    SUM(corrections) AS corrections,
    CAST(SUM(vat) AS DECIMAL(18, 2)) AS vat,
    CAST(SUM(held) AS DECIMAL(18, 2)) AS held,
    CAST(SUM(due) AS DECIMAL(18, 2)) AS due,
    CAST(SUM(invoiced) AS DECIMAL(18, 2)) AS invoiced,
    COALESCE(
        CAST(DATE_TRUNC('month', day) + INTERVAL '1 month' - INTERVAL '1 day' AS DATE)
        <= (SELECT MAX(closed_through) FROM days),
        FALSE
    ) AS closed
FROM statements
GROUP BY lender_id, agency_id, DATE_TRUNC('month', day), currency;

-- What each agency holds for each lender, and what the two owe each other, by age in days: what
-- came in pays the oldest first. Days on which more went back than came in lower what is due as
-- remittances do. `prepaid` is what came in beyond all that was due. Ages are counted to `as_of`:
-- the newest day that all shards have passed or, where no days are posted, of any statement line.
CREATE VIEW clearing AS
WITH today AS (
    SELECT COALESCE((SELECT MAX(day) FROM days), (SELECT MAX(day) FROM statements)) AS as_of
),
received AS (
    SELECT
        lender_id,
        agency_id,
        currency,
        SUM(amount) AS amount,
        SUM(withheld) AS withheld,
        SUM(paid) AS paid
    FROM remitted
    GROUP BY lender_id, agency_id, currency
),
sums AS (
    SELECT
        lender_id,
        agency_id,
        currency,
        SUM(held) AS held,
        SUM(commission) + SUM(vat) AS fees,
        SUM(due) AS due,
        SUM(LEAST(due, 0.00)) AS went_back,
        SUM(invoiced) AS invoiced
    FROM statements
    WHERE agency_id <> ''
    GROUP BY lender_id, agency_id, currency
),
books AS (
    SELECT
        COALESCE(s.lender_id, r.lender_id) AS lender_id,
        COALESCE(s.agency_id, r.agency_id) AS agency_id,
        COALESCE(s.currency, r.currency) AS currency,
        COALESCE(s.held, 0.00) - COALESCE(r.amount + r.withheld, 0.00) AS clearing,
        COALESCE(s.fees, 0.00) - COALESCE(r.withheld + r.paid, 0.00) AS payable,
        COALESCE(s.due, 0.00) - COALESCE(r.amount, 0.00) AS owed_by_agency,
        COALESCE(s.invoiced, 0.00) - COALESCE(r.paid, 0.00) AS owed_by_lender,
        COALESCE(r.amount, 0.00) - COALESCE(s.went_back, 0.00) AS lowered
    FROM sums AS s
    FULL JOIN received AS r
        ON s.lender_id = r.lender_id AND s.agency_id = r.agency_id AND s.currency = r.currency
),
dues AS (
    SELECT
        lender_id,
        agency_id,
        currency,
        CAST((SELECT as_of FROM today) AS INTEGER) - CAST(day AS INTEGER) AS age,
        GREATEST(due, 0.00) AS due,
        SUM(GREATEST(due, 0.00)) OVER (
            PARTITION BY lender_id, agency_id, currency ORDER BY day
        ) AS due_so_far
    FROM statements
    WHERE agency_id <> ''
),
aged AS (
    SELECT
        d.lender_id,
        d.agency_id,
        d.currency,
        d.age,
        d.due_so_far,
        GREATEST(LEAST(d.due, d.due_so_far - b.lowered), 0.00) AS open
    FROM dues AS d
    INNER JOIN books AS b
        ON d.lender_id = b.lender_id AND d.agency_id = b.agency_id AND d.currency = b.currency
),
ages AS (
    SELECT
        lender_id,
        agency_id,
        currency,
        SUM(CASE WHEN age <= 7 THEN open ELSE 0.00 END) AS days_0_7,
        SUM(CASE WHEN age BETWEEN 8 AND 30 THEN open ELSE 0.00 END) AS days_8_30,
        SUM(CASE WHEN age BETWEEN 31 AND 60 THEN open ELSE 0.00 END) AS days_31_60,
        SUM(CASE WHEN age > 60 THEN open ELSE 0.00 END) AS days_61,
        MAX(due_so_far) AS due_ever
    FROM aged
    GROUP BY lender_id, agency_id, currency
)
SELECT
    b.lender_id,
    b.agency_id,
    b.currency,
    (SELECT as_of FROM today) AS as_of,
    CAST(b.clearing AS DECIMAL(18, 2)) AS clearing,
    CAST(b.payable AS DECIMAL(18, 2)) AS payable,
    CAST(b.owed_by_agency AS DECIMAL(18, 2)) AS owed_by_agency,
    CAST(COALESCE(a.days_0_7, 0.00) AS DECIMAL(18, 2)) AS days_0_7,
    CAST(COALESCE(a.days_8_30, 0.00) AS DECIMAL(18, 2)) AS days_8_30,
    CAST(COALESCE(a.days_31_60, 0.00) AS DECIMAL(18, 2)) AS days_31_60,
    CAST(COALESCE(a.days_61, 0.00) AS DECIMAL(18, 2)) AS days_61,
    CAST(GREATEST(b.lowered - COALESCE(a.due_ever, 0.00), 0.00) AS DECIMAL(18, 2)) AS prepaid,
    CAST(b.owed_by_lender AS DECIMAL(18, 2)) AS owed_by_lender
FROM books AS b
LEFT JOIN ages AS a
    ON b.lender_id = a.lender_id AND b.agency_id = a.agency_id AND b.currency = a.currency;

-- Money of loans that nobody has reported, loan by loan, since when, and for how many days.
CREATE VIEW suspense AS
SELECT
    loan_id,
    lender_id,
    currency,
    CAST(-SUM(amount) AS DECIMAL(18, 2)) AS amount,
    MIN(booked_on) AS since,
    CAST(
        COALESCE((SELECT MAX(day) FROM days), (SELECT MAX(booked_on) FROM ledger)) AS INTEGER
    ) - CAST(MIN(booked_on) AS INTEGER) AS age
FROM ledger
WHERE account = 'suspense'
GROUP BY loan_id, lender_id, currency
HAVING SUM(amount) <> 0.00;

-- The same by age in days.
CREATE VIEW suspense_by_age AS
WITH classed AS (
    SELECT
        lender_id,
        currency,
        amount,
        CASE
            WHEN age <= 7 THEN '0-7'
            WHEN age <= 30 THEN '8-30'
            WHEN age <= 60 THEN '31-60'
            ELSE '61+'
        END AS days
    FROM suspense
)
SELECT
    lender_id,
    currency,
    days,
    COUNT(*) AS loans,
    CAST(SUM(amount) AS DECIMAL(18, 2)) AS amount
FROM classed
GROUP BY lender_id, currency, days;

-- Why each loan is where it is, in words: what it was worth there when it was decided, what the
-- next best would have brought, what a place costs, and who was better but full; or what it
-- waits for.
CREATE VIEW decisions AS
SELECT
    loan_id,
    lender_id,
    status,
    agency_id,
    desk_id,
    price,
    value,
    bid_price,
    second_desk_id,
    second_value,
    full_desks,
    placed_at,
    CASE
        WHEN desk_id <> '' AND status = 'placed' THEN
            'with ' || desk_id || ' of ' || agency_id || ', where it is worth '
            || CAST(value AS VARCHAR) || ' at a price of ' || CAST(price AS VARCHAR)
            || COALESCE(
                '; next best is ' || second_desk_id || ' with ' || CAST(second_value AS VARCHAR),
                ''
            )
            || CASE
                WHEN bid_price > 0 THEN '; a place there costs ' || CAST(bid_price AS VARCHAR)
                ELSE '; a place there costs nothing'
            END
            || COALESCE('; better but full: ' || REPLACE(full_desks, '|', ', '), '')
        WHEN desk_id <> '' THEN
            status || '; was with ' || desk_id || ' of ' || agency_id
        ELSE 'waits: ' || COALESCE(reason, status)
    END AS why
FROM placements;
