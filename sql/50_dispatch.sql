-- Who gets which loan: each case where it is worth most after paying for capacity.

CREATE VIEW held AS
SELECT * FROM dispatch('priced');

CREATE VIEW placed AS
SELECT * FROM dispatch('priced', 'placements');

INSERT INTO book.placements
SELECT * FROM placed;

-- What this shard would give to whom, for the market in 70_clear.sql.
INSERT INTO book.demand
SELECT * FROM dispatch('priced', 'demand');
