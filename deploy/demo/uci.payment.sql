-- How the card lender of the demo reports money: one line per payment, by account and day.
SELECT
    'P-' || lpad(account, 5, '0') || '-' || paid_on   AS payment_id,
    'UCI-' || lpad(account, 5, '0')                   AS loan_id,
    'payment'                                         AS kind,
    CAST(CAST(paid AS DECIMAL(18, 2)) AS VARCHAR)     AS amount,
    paid_on || 'T12:00:00Z'                           AS paid_at,
    'bank'                                            AS channel
FROM raw
