"""Tells others of calls, durably: VoiceERA's backend, and any address over signed webhooks.

    calls.py      what is told of a call, and when: makes reports of events and stored calls
    voicera.py    the reports that VoiceERA's backend wants, and how they are delivered
    webhooks.py   the same for webhooks
    signature.py  signs a webhook's request
    report.py     one report, and its place on disk
    folder.py     the reports of one receiver on disk
    writer.py     puts reports on disk, in order, beside the calls
    known.py      those of them that are kept in memory
    courier.py    delivers the reports of one receiver, for ever

A report is a file before anybody hears of it, and goes when its receiver has taken it.
"""
