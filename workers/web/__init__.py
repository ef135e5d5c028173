"""The HTTP side: what outside systems call, and what watches over us."""
