"""Every connector under one suite, and outside clients under theirs, against the sandbox process."""
