"""Benchmarks: print figures, assert nothing. Run by `make bench`."""
