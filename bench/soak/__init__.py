"""Thousands of calls while everything around the server, and the server itself, is taken away.

What is proven is that nothing is lost: each answered call has one record, one recording and
one transcript, and a killed server costs each leg of a call 100 ms of sound at most, where the
disk allows it.
"""
