"""One module per revision, oldest first: `r0001_...`, `r0002_...`."""
