-- How the card lender of the demo reports: one line per account and month end, whole dollars.
--
-- A status of n months late is 30·n days past due; 0, -1 and -2 (paid the minimum, paid in full,
-- not used) are not late. The bill is the principal. A negative bill is the borrower's credit:
-- nothing is owed. Cards are told apart by their limit, since the set names no product or place.
SELECT
    'R-' || lpad(account, 5, '0') || '-' || as_of                 AS event_id,
    as_of || 'T23:59:59Z'                                         AS event_time,
    'UCI-' || lpad(account, 5, '0')                               AS loan_id,
    'B-' || lpad(account, 5, '0')                                 AS borrower_id,
    CASE
        WHEN CAST(credit_limit AS BIGINT) < 100000 THEN 'card_classic'
        WHEN CAST(credit_limit AS BIGINT) < 300000 THEN 'card_gold'
        ELSE 'card_platinum'
    END                                                           AS product,
    'TW'                                                          AS province,
    CASE
        WHEN CAST(bill AS DECIMAL(18, 2)) < 0 THEN '0.00'
        ELSE CAST(CAST(bill AS DECIMAL(18, 2)) AS VARCHAR)
    END                                                           AS principal,
    '0.00'                                                        AS interest,
    '0.00'                                                        AS penalty,
    '0.00'                                                        AS fee,
    'TWD'                                                         AS currency,
    CAST(30 * greatest(CAST(status AS BIGINT), 0) AS VARCHAR)     AS days_past_due
FROM raw
