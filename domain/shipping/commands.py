"""What the carrier answered comes in as an argument: the activity asks, and adds the reply."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, ClassVar, get_args

from domain.command_fields import ShopCommand
from domain.identifiers import MerchantId, OrderId
from handrail.personal import Personal
from handrail.replies import Reply


@dataclass(frozen=True, kw_only=True)
class BookShipment(ShopCommand, context="shipping"):
    """`ship_to` names an address that the carrier knows; the address itself stays out of events."""

    asks_outside: ClassVar[bool] = True

    order: OrderId
    merchant: MerchantId
    ship_to: Annotated[str, Personal()]
    parcels: int
    reply: Reply | None = None


@dataclass(frozen=True, kw_only=True)
class CancelShipment(ShopCommand, context="shipping"):
    asks_outside: ClassVar[bool] = True

    order: OrderId
    reply: Reply | None = None


@dataclass(frozen=True, kw_only=True)
class RecordDispatch(ShopCommand, context="shipping"):
    """The carrier reports that it has the parcels."""

    order: OrderId
    at: datetime


@dataclass(frozen=True, kw_only=True)
class RecordDelivery(ShopCommand, context="shipping"):
    """The carrier reports that the customer has them; its report of the dispatch may be missing."""

    order: OrderId
    at: datetime


@dataclass(frozen=True, kw_only=True)
class RecordLoss(ShopCommand, context="shipping"):
    order: OrderId
    at: datetime
    cause: Annotated[str, Personal()]


ShipmentCommand = BookShipment | CancelShipment | RecordDispatch | RecordDelivery | RecordLoss
COMMANDS: tuple[type, ...] = get_args(ShipmentCommand)
