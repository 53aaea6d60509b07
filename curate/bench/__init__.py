"""What the parts cost and how well they do."""
