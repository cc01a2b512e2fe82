"""The handle of a run: what it found, how to go on with it, steer it and ask it."""
