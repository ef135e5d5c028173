"""The HTTP API that 1C calls (brief 001 §2, facts/onec.md D2-D4), and the same requests to 1C for operators."""
