"""The outside world in miniature: stand-ins of the vendors with faults, a clock and a journal, run as one process."""
