-- From the order to the customer's door, by the week of the order: how many hours half of the
-- parcels took at most, nine out of ten, and the slowest; and how many are still on their way.
SELECT
    date_trunc('week', p.placed_at)::DATE AS week,
    count(*) AS booked,
    count(d.position) AS delivered,
    count(l.position) AS lost,
    count(*) - count(d.position) - count(l.position) AS under_way,
    round(quantile_cont(epoch(d."at" - p.placed_at) / 3600, 0.5), 2) AS half_within_hours,
    round(quantile_cont(epoch(d."at" - p.placed_at) / 3600, 0.9), 2) AS nine_tenths_within_hours,
    round(max(epoch(d."at" - p.placed_at)) / 3600, 2) AS slowest_hours
FROM order_placed AS p
JOIN shipment_booked AS b USING ("order")
LEFT JOIN shipment_delivered AS d USING ("order")
LEFT JOIN shipment_lost AS l USING ("order")
GROUP BY week
ORDER BY week
