"""PROCESSES: worker, beat, web and the command line; where settings become running things."""
