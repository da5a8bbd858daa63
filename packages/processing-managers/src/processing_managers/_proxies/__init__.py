"""Proxies: what clients have of objects in a manager's process."""
