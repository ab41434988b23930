-- What was paid, to the cent: each booking with the placement that held the loan at that fact;
-- and how placements begin and end, for contracts that look back at them.

CREATE VIEW attributed AS
SELECT
    b.*,
    h.agency_id,
    h.desk_id,
    h.placement,
    h.commission_rate
FROM held AS h
RIGHT JOIN booked AS b
    ON h.seq = b.seq AND h.row = b.row AND h.loan_id = b.loan_id AND h.shard = b.shard
UNION ALL
SELECT
    p.shard,
    p.seq,
    p.row,
    'placement' AS kind,
    NULL AS movement_id,
    NULL AS reverses,
    p.loan_id,
    p.lender_id,
    NULL AS currency,
    p.at AS paid_at,
    p.status AS channel,
    NULL AS correction,
    NULL AS penalty,
    NULL AS fee,
    NULL AS interest,
    NULL AS principal,
    NULL AS over,
    NULL AS before_report,
    NULL AS suspense,
    NULL AS line,
    NULL AS number,
    NULL AS undoes,
    NULL AS booked,
    NULL AS act,
    NULL AS recovered,
    p.days_past_due,
    p.balance,
    NULL AS waterfall,
    NULL AS grounds,
    p.agency_id,
    p.desk_id,
    p.placement,
    p.commission_rate
FROM placed AS p;

INSERT INTO book.ledger
SELECT * FROM settle('attributed');

INSERT INTO book.lines
SELECT * FROM settle('attributed', 'lines');

-- A shard's answer to a tick, after everything the tick caused.
INSERT INTO book.ticked
SELECT
    shard,
    seq,
    row,
    kind,
    at
FROM stamped
WHERE kind IN ('day', 'round') AND loan_id IS NULL;
