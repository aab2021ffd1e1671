-- How often whom is refused what, and in how many of a hundred processes of that merchant. A refusal
-- belongs to the merchant of its process. A missed instalment is asked for again: see the arrears.
WITH process AS (
    SELECT saga, any_value(merchant) AS merchant FROM saga_started GROUP BY saga
),
begun AS (
    SELECT merchant, count(*) AS processes FROM process GROUP BY merchant
),
refused AS (
    SELECT coalesce(r.merchant, p.merchant, '') AS merchant, r.reason, r.saga, r.recorded_at
    FROM refusals AS r LEFT JOIN process AS p USING (saga)
    WHERE r.type <> 'InstalmentMissed'
)
SELECT
    merchant,
    reason,
    count(*) AS refusals,
    round(100.0 * count(DISTINCT saga) / any_value(b.processes), 1) AS percent_of_processes,
    max(recorded_at) AS latest
FROM refused LEFT JOIN begun AS b USING (merchant)
GROUP BY merchant, reason
ORDER BY refusals DESC, merchant, reason
