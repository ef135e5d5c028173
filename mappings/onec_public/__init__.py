"""What both directions of the 1c_public protocol (brief 001) read alike, and by what each knows the other's echo."""
