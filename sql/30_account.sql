-- What is owed after this fact: the fold of the loan's reports and movements.

CREATE VIEW stamped AS
SELECT * FROM account('letters');

CREATE VIEW booked AS
SELECT * FROM account('letters', 'bookings');

INSERT INTO book.loans
SELECT
    shard,
    loan_id,
    lender_id,
    borrower_id,
    product,
    province,
    principal,
    interest,
    penalty,
    fee,
    balance,
    days_past_due,
    bucket,
    origination_date,
    due_date,
    phone_masked,
    score,
    contactable,
    event_id,
    event_time,
    currency,
    delinquent_days
FROM stamped
WHERE loan_id IS NOT NULL;

-- Of a loan with a schedule, how late each instalment is.
INSERT INTO book.instalments
SELECT * FROM account('letters', 'instalments');

INSERT INTO book.refused
SELECT * FROM account('letters', 'refused');
