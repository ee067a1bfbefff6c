"""The `flashreserve` command."""
