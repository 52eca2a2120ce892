"""Densities: laws that draw from our noise, score in nats, and know their closed forms."""
