"""Processes killed at named points while clients send: what is lost, told twice or not told."""
