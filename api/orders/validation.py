"""A new order: its form, and what is looked up before a process starts for it.

A mistake is then an answer and not a process. The saga decides all of it again, from the events: a
read model may be behind, and time goes on.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import ConfigDict, Field
from sqlalchemy import ARRAY, Text, bindparam, func, select

from api.schemas import Reference
from domain.bounds import INSTALMENTS
from domain.ordering.terms import down_payment
from handrail import bounds
from handrail.http.database import Database
from handrail.http.problems import ErrorItem, Problem, at
from handrail.http.schemas import Asked, AskedPrice, Id, Quantity, members, whole
from handrail.kernel import Money as Amount
from projections import customer_account, merchant_application, merchant_balance, stock_level

NEW_ORDER: Final[dict[str, Any]] = {
    "customer": "c-1024",
    "merchant": "m-7",
    "lines": [
        {"sku": "lamp-2", "quantity": 2, "unit_price": {"amount": 4990, "currency": "EUR"}},
        {"sku": "bulb-9", "quantity": 6, "unit_price": {"amount": 350, "currency": "EUR"}},
    ],
    "instalments": 3,
    "card": "card_ok",
    "ship_to": "addr_ok",
}


_account, _application = merchant_balance.table, merchant_application.table
_customer, _stock = customer_account.table, stock_level.table
_merchant: Final = bindparam("merchant", type_=Text)
_KNOWN: Final = select(
    select(_account.c.currency)
    .where(_account.c.merchant == _merchant, _account.c.status == "open")
    .scalar_subquery()
    .label("sells_in"),
    select(_application.c.status)
    .where(_application.c.merchant == _merchant)
    .scalar_subquery()
    .label("application"),
    select(_customer.c.currency)
    .where(_customer.c.customer == bindparam("customer"))
    .scalar_subquery()
    .label("limit_in"),
    select(func.array_agg(_stock.c.sku))
    .where(
        _stock.c.merchant == _merchant,
        _stock.c.sku == func.any(bindparam("skus", type_=ARRAY(Text))),
    )
    .scalar_subquery()
    .label("received"),
)
"""In one statement: the customer waits for each."""


class NewLine(Asked):
    sku: Id
    quantity: Quantity
    unit_price: AskedPrice


class NewOrder(Asked):
    model_config = ConfigDict(json_schema_extra={"examples": [NEW_ORDER]})

    customer: Id
    merchant: Id
    lines: Annotated[list[NewLine], members(bounds.LINES)]
    instalments: Annotated[int, whole(INSTALMENTS)]
    card: Annotated[
        Reference, Field(description="The vault's reference of a card, never its number.")
    ]
    ship_to: Annotated[Id, Field(description="The carrier's reference of an address.")]

    def total(self) -> Amount:
        """Of lines in one currency."""
        prices = [line.unit_price.to_domain() * line.quantity for line in self.lines]
        return sum(prices[1:], prices[0])


async def check(database: Database, order: NewOrder) -> None:
    """Raises Problem, naming the fields, for an order that can never be approved."""
    _check_articles(order)
    skus = [line.sku for line in order.lines]
    asked = {"merchant": order.merchant, "customer": order.customer, "skus": skus}
    async with database.connection() as connection:
        known = (await connection.execute(_KNOWN, asked)).one()
    currency, limit_in = known.sells_in, known.limit_in
    # An application that lacked papers opened no account: one that is open was there before it.
    sells = {None, "active"} if currency is None else {None, "active", "incomplete"}
    if known.application not in sells:
        raise _no("merchant-not-active", [at("#/merchant", f"{order.merchant} may not sell")])
    if currency is None:
        raise _no("unknown-merchant", [at("#/merchant", f"there is no merchant {order.merchant}")])
    if not limit_in:
        raise _no("unknown-customer", [at("#/customer", f"{order.customer} has no credit limit")])
    if limit_in != currency:
        message = f"has a limit in {limit_in}, and the merchant sells in {currency}"
        raise _no("wrong-currency", [at("#/customer", message)])
    foreign = [
        at(f"#/lines/{index}/unit_price/currency", f"the merchant sells in {currency}")
        for index, line in enumerate(order.lines)
        if line.unit_price.currency != currency
    ]
    if foreign:
        raise _no("wrong-currency", foreign)
    unknown = [
        at(f"#/lines/{index}/sku", f"{order.merchant} never received {sku}")
        for index, sku in enumerate(skus)
        if sku not in (known.received or ())
    ]
    if unknown:
        raise _no("unknown-sku", unknown)
    _check_terms(order)


def _check_articles(order: NewOrder) -> None:
    skus = [line.sku for line in order.lines]
    twice = [
        at(f"#/lines/{index}/sku", f"{sku} stands on an earlier line")
        for index, sku in enumerate(skus)
        if sku in skus[:index]
    ]
    if twice:
        raise _no("invalid-request", twice)


def _check_terms(order: NewOrder) -> None:
    total = order.total()
    if total.amount > bounds.AMOUNT.most:
        message = f"the total of {total.amount} is above {bounds.AMOUNT.most}"
        raise _no("invalid-request", [at("#/lines", message)])
    if total.amount <= down_payment(total, order.instalments).amount:
        message = f"{total} is too little for {order.instalments} instalments"
        raise _no("invalid-request", [at("#/instalments", message)])


def _no(slug: str, errors: list[ErrorItem]) -> Problem:
    more = f", and {len(errors) - 1} more" if len(errors) > 1 else ""
    return Problem(slug, f"{errors[0].pointer}: {errors[0].detail}{more}", errors)
