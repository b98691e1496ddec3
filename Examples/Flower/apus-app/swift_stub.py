"""Stands where Flower expects an app in Python; `apus flower` does the work."""

app = None
