"""The server's side: what runs in a manager's process."""
