"""The clock: knows which launch plans run on a schedule."""
