"""One stage of a call, served by whichever vendor of the agent's chain works.

Vendors' services run in :class:`bot.chains.member.Member`, one at a time; a chain per stage
gives them work, notices when they fail and lets the next one go on.
"""
