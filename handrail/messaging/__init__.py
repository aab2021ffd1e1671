"""The events of the store for everybody else: published, routed, consumed once in effect."""
