"""NOUNS: the outside systems. One file per system; the other files are what every system needs."""
