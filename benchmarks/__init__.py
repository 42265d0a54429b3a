"""Benchmarks. What they compile is kept for the next run and shared with the services that they start."""

from app.kernel_cache import point_numba_at_cache

# Here, because numba must not have been imported yet.
point_numba_at_cache()
