"""What may be asked of a run, as data that is read, checked and described."""
