"""The drill: web, worker, beat and Postgres are killed at random moments, under load."""
