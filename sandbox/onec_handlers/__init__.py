"""1C's side of the 1c_public protocol (briefs/001): handlers that answer, people in 1C, an exchange that calls us."""
