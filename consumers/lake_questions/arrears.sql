-- Of the plans that were opened in a month: what was due by now, and what of it was not paid, by how
-- many days it is late. What was written off is no longer late.
WITH seen AS (
    SELECT
        *,
        getvariable('as_of')::DATE - due AS days,
        due < getvariable('as_of')::DATE AS is_due,
        paid_at IS NULL AND written_off_at IS NOT NULL AS lost
    FROM instalments
),
sums AS (
    SELECT
        cohort,
        currency,
        count(DISTINCT "order") AS plans,
        sum(amount) FILTER (is_due) AS due,
        sum(amount) FILTER (is_due AND paid_at IS NOT NULL) AS paid,
        sum(amount) FILTER (is_due AND paid_at IS NULL AND NOT lost AND days <= 30) AS late_30,
        sum(amount) FILTER (is_due AND paid_at IS NULL AND NOT lost AND days BETWEEN 31 AND 60)
            AS late_60,
        sum(amount) FILTER (is_due AND paid_at IS NULL AND NOT lost AND days > 60) AS later,
        sum(amount) FILTER (lost) AS written_off
    FROM seen GROUP BY cohort, currency
)
SELECT
    cohort,
    currency,
    plans,
    major_units(coalesce(due, 0), currency) AS due,
    major_units(coalesce(paid, 0), currency) AS paid,
    major_units(coalesce(late_30, 0), currency) AS late_30_days,
    major_units(coalesce(late_60, 0), currency) AS late_60_days,
    major_units(coalesce(later, 0), currency) AS later,
    major_units(coalesce(written_off, 0), currency) AS lost,
    round(100 * (coalesce(late_30, 0) + coalesce(late_60, 0) + coalesce(later, 0)) / due, 2)
        AS percent_late
FROM sums
ORDER BY cohort, currency
