"""The companies outside, simulated: each an HTTP server of its own, told how to misbehave."""
