"""CoMagic's (UIS) Data API, the part about deals, as facts/comagic.md describes it: JSON-RPC over POST /v2.0."""
