"""The Store port and its implementation on SQL databases."""
