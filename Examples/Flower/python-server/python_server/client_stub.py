"""Stands where Flower expects a client in Python; `apus flower client` does the work."""

app = None
