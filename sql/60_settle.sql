-- What was paid, to the cent: each booking with the placement that held the loan at that fact.

CREATE VIEW attributed AS
SELECT
    b.*,
    h.agency_id,
    h.desk_id,
    h.placement,
    h.commission_rate
FROM held AS h
RIGHT JOIN booked AS b
    ON h.seq = b.seq AND h.row = b.row AND h.loan_id = b.loan_id AND h.shard = b.shard;

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
