"""MEANINGS: what a source record means to a target. Pure marshmallow: no I/O, no clock, no engine."""
