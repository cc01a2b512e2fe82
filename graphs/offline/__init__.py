"""What is done to a run or to rows without a search: learning and auditing."""
