"""A business before and after ten changes of its events, each of another kind."""
