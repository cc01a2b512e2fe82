"""Tables of finished trainings: published benchmarks, and files of a user."""
