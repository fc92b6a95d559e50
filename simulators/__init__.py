"""Strict stand-ins for every vendor and for the caller, on loopback.

They speak the documented wire protocols and import nothing of the server, so that one
misunderstanding cannot cancel itself out.
"""
