-- The market for agency capacity: demand in, bid prices and shares of capacity out.

INSERT INTO loans.quotas
SELECT * FROM clear('demand');

INSERT INTO loans.rounds
SELECT * FROM clear('demand', 'rounds');
