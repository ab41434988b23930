-- Statements per lender, agency and day, across shards; a closed day never changes.

INSERT INTO statements.statements
SELECT * FROM close('lines');

-- How far time has come: the newest day that all shards have passed, and the last closed one.
INSERT INTO statements.days
SELECT * FROM close('lines', 'days');

-- What agencies sent and lenders paid them, each once; and its entry in the ledger.
INSERT INTO statements.remitted
SELECT * FROM close('lines', 'remitted');

INSERT INTO statements.ledger
SELECT * FROM close('lines', 'ledger');
