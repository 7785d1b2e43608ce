"""Alembic's entry."""

from sailplane_runtime.store.migrations import run_environment

run_environment()
