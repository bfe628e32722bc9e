"""The command `training/generate.py`: what it reads, makes and writes."""
