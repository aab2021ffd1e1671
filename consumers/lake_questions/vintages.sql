-- The same month of life of each cohort, one beside the other: is the new business worse than the old?
-- Of what was due by then, how much was not paid then; what was written off counts as not paid.
WITH ages AS (
    SELECT cohort, age, (cohort + to_months(age + 1))::DATE AS seen_on
    FROM (SELECT DISTINCT cohort FROM instalments) CROSS JOIN range(1, 25) AS ages (age)
    WHERE cohort + to_months(age + 1) <= getvariable('as_of')
),
sums AS (
    SELECT
        cohort,
        currency,
        age AS months,
        sum(amount) AS due,
        coalesce(sum(amount) FILTER (paid_at IS NULL OR paid_at >= seen_on), 0) AS unpaid
    FROM instalments JOIN ages USING (cohort)
    WHERE due < seen_on
    GROUP BY cohort, currency, age
)
SELECT
    cohort,
    currency,
    months,
    major_units(due, currency) AS due,
    major_units(unpaid, currency) AS unpaid,
    round(100.0 * unpaid / nullif(due, 0), 2) AS percent_unpaid
FROM sums
ORDER BY cohort, currency, months
