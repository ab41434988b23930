-- Whose loan is it? Repeats end here, and a payment that names only its loan learns its borrower.
-- From here on the key is the borrower: a letter carries the shard it is addressed to.

INSERT INTO loans.letters
SELECT * FROM register('facts');

INSERT INTO loans.refused
SELECT * FROM register('facts', 'refused');
