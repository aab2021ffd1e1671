"""Read models and tables of the App, for what does not take them as a parameter yet."""

from __future__ import annotations

from typing import Final

from runtime.app import HANDRAIL

PROJECTIONS: Final = HANDRAIL.read_models
TABLES: Final = HANDRAIL.tables
READ_MODELS: Final = HANDRAIL.read_model_names
