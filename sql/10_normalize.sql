-- Any lender's dialect becomes our facts; what cannot be used is refused with its bytes.
-- Personal data is tokenised and masked by the verb and goes no further in clear.

CREATE VIEW normalized AS
SELECT * FROM normalize('canonical');

-- A fact goes to the shard of its loan.
INSERT INTO reports.facts
SELECT
    *,
    shard_of(loan_id) AS to_shard
FROM normalized;

INSERT INTO reports.refused
SELECT * FROM normalize('canonical', 'refused');
