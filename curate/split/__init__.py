"""The split pass: one decode of each source gives shots, clips, samples and signals."""
