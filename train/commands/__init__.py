"""What `curate train` does: one module a subcommand."""
