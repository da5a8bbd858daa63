"""The client's side: how proxies reach the server."""
