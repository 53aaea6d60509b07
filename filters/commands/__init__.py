"""What `curate filters` does: one module a subcommand."""
