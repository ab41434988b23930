-- The wide table of the UCI set (`uci`, every column read as text) as one monthly file of
-- payments: what came in on the 15th of the month, `$paid_on`. Payments of zero are no payments.
--
-- $paid_on is that day as text, '2005-04-15' to '2005-09-15'. X18 to X23 are the amounts paid in
-- September, August, … April. As in the reports, 100000 may be written 1.00E+05.
SELECT
    account,
    paid_on,
    CAST(CAST(paid AS DOUBLE) AS BIGINT) AS paid
FROM (
    SELECT "ID" AS account, '2005-04-15' AS paid_on, "X23" AS paid FROM uci
    UNION ALL
    SELECT "ID" AS account, '2005-05-15' AS paid_on, "X22" AS paid FROM uci
    UNION ALL
    SELECT "ID" AS account, '2005-06-15' AS paid_on, "X21" AS paid FROM uci
    UNION ALL
    SELECT "ID" AS account, '2005-07-15' AS paid_on, "X20" AS paid FROM uci
    UNION ALL
    SELECT "ID" AS account, '2005-08-15' AS paid_on, "X19" AS paid FROM uci
    UNION ALL
    SELECT "ID" AS account, '2005-09-15' AS paid_on, "X18" AS paid FROM uci
)
WHERE paid_on = $paid_on
    AND CAST(paid AS DOUBLE) <> 0
ORDER BY CAST(account AS BIGINT)
