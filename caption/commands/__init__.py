"""What `curate caption` does besides captioning: one module a subcommand."""
