"""Passes through a network without training it: what proxies are computed from."""
