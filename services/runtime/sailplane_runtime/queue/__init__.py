"""The Queue port's implementations."""
