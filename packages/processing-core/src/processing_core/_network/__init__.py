"""Connections that have an address: listeners, clients, authentication, TLS."""
