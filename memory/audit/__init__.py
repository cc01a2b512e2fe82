"""What a sample says of a whole space: what matters, what is dead, what is counted twice."""
