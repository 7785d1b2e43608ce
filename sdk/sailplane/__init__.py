"""Sailplane: the command line, and what users import."""
