"""The same events in a data lake, once each: exported to Delta Lake, and questions asked there."""
