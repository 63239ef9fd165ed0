"""The demo: a real shop's year, served on this machine by one command (`make demo`)."""
