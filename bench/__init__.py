"""The bench: every promise of speed and size, measured on this machine (`make bench`)."""
