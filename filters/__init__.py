"""What scores or judges a clip: shot boundaries, motion, quality."""
