"""The subcommands of `erasurehead`, one file each; what they need is imported when they run."""
