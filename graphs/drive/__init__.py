"""One process driving one run: lease, log, traces, estimates, replay, and the end."""
