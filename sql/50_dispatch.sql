-- Who gets which loan: each case where it is worth most after paying for capacity.

CREATE VIEW held AS
SELECT * FROM dispatch('priced');

CREATE VIEW placed AS
SELECT * FROM dispatch('priced', 'placements');

-- A loan leaves collection when its money is in or when its lender says so: its status says how.
INSERT INTO book.placements
SELECT
    *,
    CASE
        WHEN status IN ('paid', 'settled', 'refinanced', 'withdrawn', 'sold', 'written_off') THEN at
    END AS exited_at
FROM placed;

-- What this shard would give to whom, for the market in 70_clear.sql.
INSERT INTO book.demand
SELECT * FROM dispatch('priced', 'demand');
