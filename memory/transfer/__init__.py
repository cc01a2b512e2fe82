"""What one run may use of another's: sources, trust, rules told in another space."""
