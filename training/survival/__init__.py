"""What lets a run go on: its checkpoints, what may change when it resumes, and the stop at what is not finite."""
