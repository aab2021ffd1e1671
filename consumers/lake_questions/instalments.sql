-- What each instalment is now: the last that was said of it, less what returns took off it since.
-- `amount` is principal in minor units; what was settled early is paid, too. The cohort is the month
-- in which the plan was opened.
WITH said AS (
    SELECT "order", position, recorded_at, unnest(instalments) AS i FROM plan_opened
    UNION ALL
    SELECT "order", position, recorded_at, unnest(instalments) AS i FROM adjustment_reverted
),
base AS (
    SELECT "order", i.number AS number, max(position) AS position,
        arg_max(i.amount.amount, position) AS amount, arg_max(i.due, position) AS due,
        any_value(i.amount.currency) AS currency
    FROM said GROUP BY ALL
),
taken_off AS (
    SELECT "order", r.number AS number, position, r.amount.amount AS amount
    FROM (SELECT "order", position, unnest(reductions) AS r FROM plan_adjusted)
),
moved AS (
    SELECT "order", number, max(position) AS position, arg_max(due, position) AS due
    FROM instalment_rescheduled GROUP BY ALL
)
SELECT
    b."order",
    date_trunc('month', o.recorded_at)::DATE AS cohort,
    b.number,
    CASE WHEN m.position > b.position THEN m.due ELSE b.due END AS due,
    b.amount - coalesce(
        (SELECT sum(t.amount) FROM taken_off AS t
         WHERE t."order" = b."order" AND t.number = b.number AND t.position > b.position), 0
    ) AS amount,
    b.currency,
    least(
        c.recorded_at,
        (SELECT min(s.recorded_at) FROM plan_settled AS s
         WHERE s."order" = b."order" AND s.position > b.position)
    ) AS paid_at,
    (SELECT min(w.recorded_at) FROM plan_written_off AS w
     WHERE w."order" = b."order" AND w.position > b.position) AS written_off_at
FROM base AS b
JOIN plan_opened AS o USING ("order")
LEFT JOIN moved AS m ON m."order" = b."order" AND m.number = b.number
LEFT JOIN instalment_collected AS c ON c."order" = b."order" AND c.number = b.number
