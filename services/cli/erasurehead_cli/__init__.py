"""The `erasurehead` command."""
