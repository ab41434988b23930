-- Who gets which loan: each case where it is worth most after paying for capacity.

CREATE VIEW held AS
SELECT * FROM dispatch('priced');

INSERT INTO book.placements
SELECT * FROM dispatch('priced', 'placements');

-- What this shard would give to whom, for the market in 70_clear.sql.
INSERT INTO book.demand
SELECT * FROM dispatch('priced', 'demand');
