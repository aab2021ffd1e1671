"""What our other books say comes in with the command: the activity looks, and adds it."""

from dataclasses import dataclass
from datetime import datetime
from typing import get_args

from domain.command_fields import ShopCommand
from domain.customers.events import Removed
from domain.identifiers import CustomerId, OrderId
from handrail.kernel import Money


@dataclass(frozen=True, kw_only=True)
class RequestErasure(ShopCommand, context="customers"):
    """A customer is to be erased. `open_orders` and `owed` are what stands against it: whoever asks
    need not know it, it is looked up.
    """

    customer: CustomerId
    by: str
    requested_at: datetime
    open_orders: tuple[OrderId, ...] = ()
    owed: Money | None = None


@dataclass(frozen=True, kw_only=True)
class DestroyCustomerKeys(ShopCommand, context="customers"):
    """From now on nothing that was sealed for the customer is read. `keys` are the ids of the keys
    that were destroyed, now or before.
    """

    customer: CustomerId
    by: str
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RemoveCustomerData(ShopCommand, context="customers"):
    """Contact, messages, and what other companies told us of the customer's orders are deleted."""

    customer: CustomerId
    removed: tuple[Removed, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ConfirmErasure(ShopCommand, context="customers"):
    """The proof, which other services hear of. `erased_at` is looked up."""

    customer: CustomerId
    erased_at: datetime | None = None


CustomerCommand = RequestErasure | DestroyCustomerKeys | RemoveCustomerData | ConfirmErasure
COMMANDS: tuple[type, ...] = get_args(CustomerCommand)
