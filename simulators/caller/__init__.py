"""Simulated callers: a phone behind Vobiz, and a client program, with real speech."""
