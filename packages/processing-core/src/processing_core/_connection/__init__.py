"""Connections: messages between two processes, whole and in order."""
