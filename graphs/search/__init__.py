"""The search: its graph, the nodes, and what each of them does to the run, retries included."""
