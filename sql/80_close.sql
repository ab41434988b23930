-- Statements per lender, agency and day, across shards; a closed day never changes.

INSERT INTO statements.statements
SELECT * FROM close('lines');
