"""What the agent can do, and the engines behind it: train, proxy, recall, prune, report."""
