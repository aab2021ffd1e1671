"""The operator console at `/console`: pages made on the server, which act as the HTTP API does."""
