"""Proofs of properties of components, and the machinery that makes them. See `docs/formal.md`."""
