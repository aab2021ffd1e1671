"""Webhook endpoints: addresses of tenants to which events are sent, signed, at least once."""
