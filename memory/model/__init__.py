"""The model of a run: what its trials, costs, proxies and sources say of what is untried."""
