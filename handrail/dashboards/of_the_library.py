"""The dashboards of the library: sagas, the events' way out, and processes.

Figures of sagas, read models and queues come from the database, so every API process serves the
same: `max` counts them once, however many are scraped. Those of processes are summed.
"""

from __future__ import annotations

from typing import Final

from handrail.dashboards.grafana import Dashboard, Panel, Query


def from_database(expression: str, *labels: str, also: str = "") -> Query:
    """A figure of the database, counted once: a series for each of the labels, which is named by
    them, and by what `also` says.
    """
    legend = " ".join([*(f"{{{{{label}}}}}" for label in labels), *([also] if also else [])])
    return Query(f"max by ({', '.join(labels)}) ({expression})", legend)


SAGAS: Final = Dashboard(
    uid="handrail-sagas",
    title="Handrail: sagas",
    panels=(
        Panel(
            title="Sagas by how they stand",
            says="Now. What stays `compensating` or `parked` waits for something.",
            queries=(from_database("handrail_sagas", "type", "status"),),
        ),
        Panel(
            title="Begun per minute",
            says="Sagas that began, and attempts at them beyond the first.",
            queries=(
                Query(
                    "60 * max by (type) (rate(handrail_sagas_started_total[5m]))", "{{type}} begun"
                ),
                Query(
                    "60 * max by (type) (rate(handrail_saga_attempts_total[5m]))",
                    "{{type}} once more",
                ),
            ),
        ),
        Panel(
            title="Ended per minute",
            says="By ending. `refused` is the business, `compensated` was taken back otherwise.",
            queries=(
                Query(
                    "60 * max by (type, ending) (rate(handrail_sagas_ended_total[5m]))",
                    "{{type}} {{ending}}",
                ),
            ),
        ),
        Panel(
            title="Taken back, by cause, in an hour",
            says="`unknown` is a partner that does not answer, `failed` a mistake of ours.",
            queries=(
                from_database("increase(handrail_sagas_turned_back_total[1h])", "type", "because"),
            ),
        ),
        Panel(
            title="Parked now, by step",
            says="They wait for a person: `handrail sagas list --status parked`.",
            queries=(
                from_database("handrail_sagas_parked", "type", "step"),
                from_database("handrail_sagas_awaiting", "type", also="awaits an answer"),
            ),
        ),
        Panel(
            title="Oldest parked saga",
            says="Since when the first of them has waited; the alert is at 15 minutes.",
            unit="s",
            queries=(from_database("handrail_saga_parked_oldest_seconds", "type"),),
        ),
        Panel(
            title="Parked and let go on, in 15 minutes",
            says="Steps that were parked, and what people decided. One step that stands out is one"
            " cause.",
            queries=(
                from_database(
                    "increase(handrail_sagas_parked_total[15m])", "type", "step", also="parked"
                ),
                from_database("increase(handrail_saga_interventions_total[15m])", "type", "kind"),
            ),
        ),
        Panel(
            title="Steps per minute",
            says="By outcome: which step refuses, is unknown, or is taken back.",
            queries=(
                Query(
                    "60 * max by (step, outcome) (rate(handrail_saga_steps_total[5m]))",
                    "{{step}} {{outcome}}",
                ),
            ),
        ),
        Panel(
            title="Money at stake",
            says="Of sagas that have not ended, in minor units of each currency.",
            queries=(
                Query(
                    "sum by (type, status, currency)"
                    " (max by (type, status, currency) (handrail_sagas_at_stake_minor_units))",
                    "{{type}} {{status}} {{currency}}",
                ),
            ),
        ),
        *(
            Panel(
                title=title,
                says=says,
                unit="s",
                queries=(
                    Query(
                        "histogram_quantile(0.5, max by (type, le)"
                        f" (rate(handrail_saga_{timed}_seconds_bucket[15m])))",
                        "{{type}} half",
                    ),
                    Query(
                        "histogram_quantile(0.95, max by (type, le)"
                        f" (rate(handrail_saga_{timed}_seconds_bucket[15m])))",
                        "{{type}} 95 of 100",
                    ),
                ),
            )
            for timed, title, says in (
                ("decision", "Time to the decision", "What a client waits for."),
                ("completion", "Time until completed", "From the beginning to the end."),
                ("compensation", "Time until taken back", "How long the way back takes."),
            )
        ),
    ),
)

FLOW: Final = Dashboard(
    uid="handrail-flow",
    title="Handrail: the events' way out",
    panels=(
        Panel(
            title="Read models behind",
            says="Reads show the past by so much; the alert is at 30 s.",
            unit="s",
            queries=(from_database("handrail_projection_lag_seconds", "projection"),),
        ),
        Panel(
            title="Events that read models have not seen",
            says="A read model that is being rebuilt, `…__next`, is far behind until it is done.",
            queries=(from_database("handrail_projection_lag_events", "projection"),),
        ),
        Panel(
            title="Events that wait",
            says="At read models, and at the relay or the lake. Mend the cause, then retry.",
            queries=(
                from_database("handrail_projection_parked_events", "projection"),
                from_database("handrail_follower_parked_events", "follower"),
            ),
        ),
        Panel(
            title="Waits for newer code",
            says="Shards and streams that stand before an event which no live process can read.",
            queries=(
                from_database("handrail_projection_waiting_shards", "projection"),
                from_database("handrail_follower_waiting_shards", "follower"),
                from_database("handrail_consumer_waiting_streams", "consumer"),
            ),
        ),
        Panel(
            title="Subscribers behind",
            says="Relay, consumers without a broker, and the lake.",
            unit="s",
            queries=(from_database("handrail_follower_lag_seconds", "follower"),),
        ),
        Panel(
            title="Events that subscribers have not seen",
            says="The outbox keeps them.",
            queries=(from_database("handrail_follower_lag_events", "follower"),),
        ),
        Panel(
            title="Read per second",
            says="By projectors, relays and consumers without a broker.",
            queries=(
                Query("sum(deriv(handrail_projector_events_read[1m]))", "projectors"),
                Query("sum(deriv(handrail_relay_events_read[1m]))", "relays"),
                Query("sum by (job) (deriv(handrail_consumer_events_read[1m]))", "{{job}}"),
                Query("sum(deriv(handrail_dispatcher_events_read[1m]))", "dispatchers"),
            ),
        ),
        Panel(
            title="Shards held",
            says="Of each process: a share of 16 for each read model, or for the relay.",
            queries=(
                Query("handrail_projector_checkpoints_held", "projector {{instance}}"),
                Query("handrail_relay_checkpoints_held", "relay {{instance}}"),
                Query("handrail_consumer_checkpoints_held", "{{job}} {{instance}}"),
                Query("handrail_dispatcher_checkpoints_held", "dispatcher {{instance}}"),
            ),
        ),
        Panel(
            title="Published per second",
            says="Sent to the broker, confirmed by it, returned because no queue would get them,"
            " parked, and without a form that a queue is bound to.",
            queries=(
                Query("sum(rate(handrail_relay_published_total[1m]))", "published"),
                Query("sum(rate(handrail_relay_confirmed_total[1m]))", "confirmed"),
                Query("sum(rate(handrail_relay_returned_total[1m]))", "returned"),
                Query("sum(rate(handrail_relay_parked_total[1m]))", "parked"),
                Query("sum(rate(handrail_relay_unconverted_total[1m]))", "unconverted"),
            ),
        ),
        Panel(
            title="Relays at the broker",
            says="Connected, blocked for want of memory or disk, and connected anew.",
            queries=(
                Query("handrail_relay_connected", "connected {{instance}}"),
                Query("handrail_relay_blocked", "blocked {{instance}}"),
                Query("handrail_relay_reconnects_total", "reconnects {{instance}}"),
            ),
        ),
        Panel(
            title="Messages at consumers per minute",
            says="By what became of them.",
            queries=(
                Query(
                    "60 * sum by (job, outcome) (rate(handrail_consumer_messages_total[5m]))",
                    "{{job}} {{outcome}}",
                ),
            ),
        ),
        Panel(
            title="Parked at consumers",
            says="Messages, and streams of them: `handrail consumers parked NAME`.",
            queries=(
                from_database("handrail_consumer_parked_messages", "consumer"),
                from_database("handrail_consumer_parked_streams", "consumer", also="streams"),
            ),
        ),
        Panel(
            title="Consumers at the broker",
            says="Subscribed, holding messages while the database is away, not yet acknowledged,"
            " and not brought in time.",
            queries=(
                Query("handrail_consumer_subscribed", "subscribed {{instance}}"),
                Query("handrail_consumer_holding", "holding {{instance}}"),
                Query("handrail_consumer_in_flight", "in flight {{instance}}"),
                Query("handrail_consumer_late", "late {{instance}}"),
            ),
        ),
        Panel(
            title="The lake",
            says="Events and batches that exporters have written; one of them is on turn.",
            queries=(
                Query("sum(handrail_lake_events_exported)", "events"),
                Query("sum(handrail_lake_batches_exported)", "batches"),
                Query("max(handrail_lake_last_batch)", "last batch"),
                Query("sum(handrail_lake_on_turn)", "on turn"),
            ),
        ),
        Panel(
            title="Notifications that wait",
            says="By lane; those of campaigns may.",
            queries=(from_database("handrail_notifications_waiting", "lane"),),
        ),
        Panel(
            title="Notifications late",
            says="Since when the oldest could have been sent; the alert is at 5 minutes.",
            unit="s",
            queries=(from_database("handrail_notifications_overdue_seconds", "lane"),),
        ),
        Panel(
            title="Notifications sent, and stuck",
            says="Per minute by outcome and being sent now; those that wait for a person.",
            queries=(
                Query(
                    "60 * sum by (lane, outcome) (rate(handrail_notifier_messages_total[5m]))",
                    "{{lane}} {{outcome}}",
                ),
                Query("sum(handrail_notifier_sending)", "being sent"),
                from_database("handrail_notifications_stuck", "lane", "state", also="stuck"),
            ),
        ),
        Panel(
            title="Webhooks to tenants per minute",
            says="Tries by what became of them, and endpoints that are sent to now.",
            queries=(
                Query(
                    "60 * sum by (outcome) (rate(handrail_dispatcher_webhooks_total[5m]))",
                    "{{outcome}}",
                ),
                Query("sum(handrail_dispatcher_endpoints)", "endpoints now"),
            ),
        ),
        Panel(
            title="Webhooks to tenants that wait",
            says="Those of disabled endpoints, too; parked ones wait for `redeliver`.",
            queries=(
                from_database("handrail_webhook_deliveries", "state"),
                Query("max by (state) (handrail_webhook_endpoints)", "endpoints {{state}}"),
            ),
        ),
        Panel(
            title="Webhooks to tenants late",
            says="Since when an endpoint has something due; the alert is at 10 minutes.",
            unit="s",
            queries=(Query("max(handrail_webhook_deliveries_overdue_seconds)", "overdue"),),
        ),
        Panel(
            title="Webhooks without effect",
            says="`unknown` ones wait for a person.",
            queries=(from_database("handrail_webhooks", "source", "status"),),
        ),
    ),
)

PROCESSES: Final = Dashboard(
    uid="handrail-processes",
    title="Handrail: processes",
    panels=(
        Panel(
            title="Requests per second",
            says="By route and status.",
            unit="reqps",
            queries=(
                Query(
                    "sum by (method, route, status)"
                    " (rate(handrail_http_request_seconds_count[1m]))",
                    "{{method}} {{route}} {{status}}",
                ),
            ),
        ),
        Panel(
            title="Time until an answer began",
            says="95 of 100 requests were faster; those with `Prefer: wait` wait for a decision.",
            unit="s",
            queries=(
                Query(
                    "histogram_quantile(0.95, sum by (route, le)"
                    " (rate(handrail_http_request_seconds_bucket[5m])))",
                    "{{route}}",
                ),
            ),
        ),
        Panel(
            title="API processes that reach the database",
            says="Where one does not, its other figures are old.",
            queries=(Query("handrail_database_up", "{{instance}}"),),
        ),
        Panel(
            title="Workflow tasks per second",
            says="What workers did for sagas; failed ones are mistakes of the code.",
            queries=(
                Query(
                    "sum by (workflow_type)"
                    " (rate(temporal_workflow_task_execution_latency_seconds_count[1m]))",
                    "{{workflow_type}}",
                ),
            ),
        ),
        Panel(
            title="Workflow tasks wait for a worker",
            says="95 of 100 waited less. Where it grows, start more workers.",
            unit="s",
            queries=(
                Query(
                    "histogram_quantile(0.95, sum by (task_queue, le)"
                    " (rate(temporal_workflow_task_schedule_to_start_latency_seconds_bucket[5m])))",
                    "{{task_queue}}",
                ),
            ),
        ),
        Panel(
            title="Steps beside their saga take",
            says="95 of 100 local activities were faster.",
            unit="s",
            queries=(
                Query(
                    "histogram_quantile(0.95, sum by (activity_type, le)"
                    " (rate(temporal_local_activity_execution_latency_seconds_bucket[5m])))",
                    "{{activity_type}}",
                ),
            ),
        ),
        Panel(
            title="Slots of workers",
            says="In use, and free. Without a free one tasks wait.",
            queries=(
                Query(
                    "sum by (worker_type) (temporal_worker_task_slots_used)", "{{worker_type}} used"
                ),
                Query(
                    "sum by (worker_type) (temporal_worker_task_slots_available)",
                    "{{worker_type}} free",
                ),
            ),
        ),
        Panel(
            title="Requests to Temporal per second",
            says="Of workers, by operation; long ones are polls.",
            queries=(
                Query("sum by (operation) (rate(temporal_request_total[1m]))", "{{operation}}"),
                Query(
                    "sum by (operation) (rate(temporal_long_request_total[1m]))", "{{operation}}"
                ),
            ),
        ),
        Panel(
            title="Workflows in the memory of workers",
            says="Others are read from their history when they go on.",
            queries=(Query("sum by (task_queue) (temporal_sticky_cache_size)", "{{task_queue}}"),),
        ),
        Panel(
            title="Memory",
            says="Resident, of projectors, relays, consumers and notifiers.",
            unit="bytes",
            queries=(Query("process_resident_memory_bytes", "{{job}} {{instance}}"),),
        ),
        Panel(
            title="Processor",
            says="Seconds a second, of the same.",
            queries=(Query("rate(process_cpu_seconds_total[1m])", "{{job}} {{instance}}"),),
        ),
    ),
)

DASHBOARDS: Final = (SAGAS, FLOW, PROCESSES)
