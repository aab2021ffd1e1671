"""Customers as subjects of personal data."""

from domain.identifiers import CustomerId
from handrail.personal import subject_of


def subject_of_customer(customer: CustomerId | str) -> str:
    """Whose keys a saga's texts are sealed under; empty where the customer is not known."""
    return subject_of("customer", customer) if customer else ""
