"""What customers are told, in their language. Nothing personal is in it but the order's number."""

from __future__ import annotations

from typing import Final

from consumers.notifications.kinds import KINDS
from handrail.notifications.kinds import MessageKinds, Templates, Wording

TEMPLATES: Final[Templates] = {
    "order-confirmed": {
        "en": Wording("Your order is confirmed", "Order {order} is confirmed. Thank you!"),
        "de": Wording("Bestellung bestätigt", "Bestellung {order} ist bestätigt. Danke!"),
    },
    "order-rejected": {
        "en": Wording("We could not take your order", "Order {order} was not carried out."),
        "de": Wording("Bestellung nicht möglich", "Bestellung {order} wurde nicht ausgeführt."),
    },
    "order-reviewed": {
        "en": Wording("We are checking your order", "We are checking order {order} ({total})."),
        "de": Wording("Wir prüfen Ihre Bestellung", "Wir prüfen Bestellung {order} ({total})."),
    },
    "instalment-due": {
        "en": Wording(
            "An instalment is due soon",
            "Instalment {number} of order {order} is due on {due}: {amount}.",
        ),
        "de": Wording(
            "Bald ist eine Rate fällig",
            "Rate {number} der Bestellung {order} ist am {due} fällig: {amount}.",
        ),
    },
    "instalment-collected": {
        "en": Wording(
            "Thank you for your payment",
            "We received {amount} for instalment {number} of order {order}.",
        ),
        "de": Wording(
            "Danke für Ihre Zahlung",
            "Wir haben {amount} für Rate {number} der Bestellung {order} erhalten.",
        ),
    },
    "instalment-missed": {
        "en": Wording(
            "An instalment could not be collected",
            "We could not collect {amount} for order {order}. Please check your card.",
        ),
        "de": Wording(
            "Eine Rate konnte nicht eingezogen werden",
            "{amount} für Bestellung {order} konnten nicht eingezogen werden. Bitte Karte prüfen.",
        ),
    },
    "late-fee": {
        "en": Wording("A late fee was charged", "A late fee of {amount} was added to {order}."),
        "de": Wording("Mahngebühr", "Für Bestellung {order} fällt eine Mahngebühr an: {amount}."),
    },
    "plan-settled": {
        "en": Wording("All paid", "Order {order} is paid in full. Thank you!"),
        "de": Wording("Alles bezahlt", "Bestellung {order} ist vollständig bezahlt. Danke!"),
    },
    "plan-written-off": {
        "en": Wording(
            "Your plan was closed", "The plan of order {order} was closed with {amount} unpaid."
        ),
        "de": Wording(
            "Ihr Ratenplan wurde beendet",
            "Der Ratenplan der Bestellung {order} wurde beendet, offen sind {amount}.",
        ),
    },
    "shipment-dispatched": {
        "en": Wording("On its way", "Order {order} is on its way to you."),
        "de": Wording("Unterwegs", "Bestellung {order} ist unterwegs zu Ihnen."),
    },
    "shipment-delivered": {
        "en": Wording("Delivered", "Order {order} was delivered."),
        "de": Wording("Zugestellt", "Bestellung {order} wurde zugestellt."),
    },
    "shipment-lost": {
        "en": Wording(
            "Your parcel was lost", "The parcel of order {order} was lost. You get your money back."
        ),
        "de": Wording(
            "Ihr Paket ging verloren",
            "Das Paket der Bestellung {order} ging verloren. Sie bekommen Ihr Geld zurück.",
        ),
    },
    "return-accepted": {
        "en": Wording("We took your return", "Your return of order {order} is accepted."),
        "de": Wording("Rückgabe angenommen", "Ihre Rückgabe zu Bestellung {order} ist angenommen."),
    },
    "return-refused": {
        "en": Wording("We cannot take your return", "Your return of order {order} was declined."),
        "de": Wording("Rückgabe nicht möglich", "Ihre Rückgabe zu {order} wurde abgelehnt."),
    },
    "refund-paid": {
        "en": Wording("Your refund", "We paid back {amount} for order {order}."),
        "de": Wording("Ihre Erstattung", "Wir haben {amount} für Bestellung {order} erstattet."),
    },
}

MESSAGES: Final = MessageKinds.of(KINDS.values(), TEMPLATES, recipient="customer")
