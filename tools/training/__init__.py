"""Training one architecture: requests in, typed outcomes out, in worker processes."""
