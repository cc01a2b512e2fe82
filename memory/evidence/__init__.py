"""The statistics of principles and proxies: effects, intervals, what a cut would lose."""
