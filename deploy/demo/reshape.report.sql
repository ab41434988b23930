-- The wide table of the UCI set (`uci`, every column read as text) as one monthly file of reports:
-- what the lender says of each account on the last day of the month `$as_of`.
--
-- $as_of is that day as text, '2005-04-30' to '2005-09-30'. The set counts its months backwards:
-- X6 to X11 are the repayment status and X12 to X17 the bill of September, August, … April.
-- The file was once saved by a spreadsheet: 100000 may be written 1.00E+05. Amounts are whole
-- dollars below 2^53, so that a double holds them exactly on their way to an integer.
SELECT
    account,
    as_of,
    status,
    CAST(CAST(bill AS DOUBLE) AS BIGINT)         AS bill,
    CAST(CAST(credit_limit AS DOUBLE) AS BIGINT) AS credit_limit
FROM (
    SELECT "ID" AS account, '2005-04-30' AS as_of,
        "X11" AS status, "X17" AS bill, "X1" AS credit_limit
    FROM uci
    UNION ALL
    SELECT "ID" AS account, '2005-05-31' AS as_of,
        "X10" AS status, "X16" AS bill, "X1" AS credit_limit
    FROM uci
    UNION ALL
    SELECT "ID" AS account, '2005-06-30' AS as_of,
        "X9" AS status, "X15" AS bill, "X1" AS credit_limit
    FROM uci
    UNION ALL
    SELECT "ID" AS account, '2005-07-31' AS as_of,
        "X8" AS status, "X14" AS bill, "X1" AS credit_limit
    FROM uci
    UNION ALL
    SELECT "ID" AS account, '2005-08-31' AS as_of,
        "X7" AS status, "X13" AS bill, "X1" AS credit_limit
    FROM uci
    UNION ALL
    SELECT "ID" AS account, '2005-09-30' AS as_of,
        "X6" AS status, "X12" AS bill, "X1" AS credit_limit
    FROM uci
)
WHERE as_of = $as_of
ORDER BY CAST(account AS BIGINT)
