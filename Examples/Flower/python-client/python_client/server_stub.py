"""Stands where Flower expects a server in Python; `apus flower server` does the work."""

app = None
