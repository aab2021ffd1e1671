"""Shop processes in Temporal: deliveries and instalment plans are told, returns are quoted."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Final, cast
from uuid import uuid4

from fastapi import Depends
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.service import RPCError, RPCStatusCode

from domain.ordering.return_quote import QuoteReturnOf, ReturnQuote
from handrail.http import stream_reader
from handrail.http.database import Database
from handrail.http.dependencies import ServicesDep
from handrail.http.problems import Problem
from handrail.http.temporal_errors import RPC, temporal_reachable
from handrail.http.temporal_gateway import TemporalGateway
from handrail.kernel import stream_name
from handrail.personal import subject_of
from handrail.sagas.fairness import fair
from handrail.sagas.visibility import begun_as
from handrail.tracing.spans import traceparent
from workflows import deliver_order, plan_collection, settle_early
from workflows.carrier_notice import CarrierNotice
from workflows.customers import subject_of_customer
from workflows.dunning import Terms
from workflows.options import ShopOptions
from workflows.plan_collection import CollectInstalments
from workflows.plan_wishes import NewDate, PayAllNow

_PLANS: Final = (plan_collection.TYPE,)
_DELIVERIES: Final = (deliver_order.TYPE,)


class ShopProcesses:
    def __init__(self, processes: TemporalGateway, database: Database) -> None:
        self._processes = processes
        self._database = database

    async def _customer_of(self, order: str) -> str:
        """Whose personal data is in what is said of an order."""
        stream = stream_name("order", order)
        async with self._database.connection() as connection:
            found = await stream_reader.read(connection, stream, after=0, limit=1)
        customer = found[0].data.get("customer", "") if found else ""
        return subject_of_customer(customer) or subject_of("order", order)

    async def tell_carrier_notice(self, order: str, notice: CarrierNotice) -> None:
        """Raises Problem where no delivery of the order waits for what the carrier says."""
        delivery = deliver_order.workflow_id(order)
        notice = await self._processes.sealed(notice, await self._customer_of(order))
        if await self._processes.known(delivery, of=_DELIVERIES) is None:
            message = f"no parcel of {order} is under way"
            raise Problem("webhook-subject-unknown", message)
        try:
            async with temporal_reachable():
                handle = self._processes.client.get_workflow_handle(delivery)
                await handle.signal("carrier_told", notice, rpc_timeout=RPC)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            raise Problem("out-of-order", f"the delivery of {order} has ended") from None

    async def settle_early(self, order: str, wish: PayAllNow, key: str | None) -> str:
        """The id of the saga that does. Raises Problem where nothing is due, or an instalment is
        being collected.
        """
        with _of_plan(order):
            plan = plan_collection.workflow_id(order)
            id_ = f"settle-{key or uuid4().hex}"
            subject = await self._customer_of(order)
            saga = await self._processes.execute_update(
                plan, "settle_early", [wish], id_=id_, of=_PLANS, subject=subject
            )
            # Older code answered nothing, and knew one settlement of each plan.
            return str(saga or settle_early.saga_id(order))

    async def reschedule(self, order: str, wish: NewDate) -> None:
        """Raises Problem where the date breaks a rule, or the instalment is being collected."""
        with _of_plan(order):
            plan = plan_collection.workflow_id(order)
            id_ = f"reschedule-{wish.id}"
            await self._processes.execute_update(plan, "reschedule", [wish], id_=id_, of=_PLANS)

    async def collect(self, asked: CollectInstalments, actor: str) -> None:
        """Have a plan collected whose process has ended. Where it goes on, nothing is done."""
        async with temporal_reachable():
            await self._processes.client.start_workflow(
                plan_collection.TYPE,
                args=[
                    asked,
                    replace(self._processes.options, traceparent=traceparent()),
                    actor,
                    plan_collection.Progress(reopened=True),
                ],
                id=plan_collection.workflow_id(asked.order),
                task_queue=self._processes.queue,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                search_attributes=begun_as(
                    plan_collection.TYPE, asked.merchant, self._processes.options
                ),
                static_summary=plan_collection.summary_again(asked),
                priority=fair(asked.merchant),
                rpc_timeout=RPC,
            )

    @property
    def terms(self) -> Terms:
        """Those of instalments."""
        return cast("ShopOptions", self._processes.options).terms

    async def quote(self, of: QuoteReturnOf) -> ReturnQuote:
        """What a return would come to now. Raises Problem where no such order stands."""
        id_ = f"QuoteReturn-{uuid4().hex}"
        return await self._processes.run_activity(
            "QuoteReturn", [of], ReturnQuote, id_=id_, queue="sagas"
        )


@contextlib.contextmanager
def _of_plan(order: str) -> Iterator[None]:
    try:
        yield
    except Problem as problem:
        if problem.slug == "not-found":
            raise Problem("not-found", f"there is no plan of {order}") from None
        raise


async def shop_processes(services: ServicesDep) -> ShopProcesses:
    return ShopProcesses(services.processes, services.database)


ShopProcessesDep = Annotated[ShopProcesses, Depends(shop_processes)]
