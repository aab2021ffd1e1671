"""What other teams may count on: a schema for every event, and where each event is to be had."""
