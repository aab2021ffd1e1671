"""Every type of saga there is, by name."""

from runtime.app import HANDRAIL

SAGAS = HANDRAIL.saga_types
