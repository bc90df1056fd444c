"""Alerts by webhook, and connections that are silent for longer than their habit."""
