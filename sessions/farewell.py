"""How a call takes leave: the agent's last words to the caller, then the peer is told."""

import asyncio

from loguru import logger

from bot.call_bot import CallBot
from sessions.call_ending import CallEnding
from sessions.endings import CLOSE_CODES, FAILED, GRACEFUL, LAST_WORDS
from sessions.line import Line
from sessions.peer_messages import PeerMessages


async def say_last_words(bot: CallBot, ending: CallEnding, cause: str) -> None:
    """Let be heard what is still to be said, for as long as there is somebody to hear it.

    Args:
        cause: The call's end cause.
    """
    phrase = "apology" if ending.unable else LAST_WORDS.get(cause)
    if ending.gone.is_set() or (phrase is None and cause not in GRACEFUL):
        return
    speaking = asyncio.create_task(_goodbye(bot, phrase, ending.session_id), name="session-goodbye")
    gone = asyncio.create_task(ending.gone.wait(), name="session-gone")
    await asyncio.wait((speaking, gone), return_when=asyncio.FIRST_COMPLETED)
    for task in (speaking, gone):
        task.cancel()
    await asyncio.gather(speaking, gone, return_exceptions=True)


async def _goodbye(bot: CallBot, phrase: str | None, session_id: str) -> None:
    try:
        await bot.goodbye(phrase)
    # A farewell that fails must not keep the call from being closed and recorded.
    except Exception:
        logger.exception(f"call {session_id}: its last words failed")


async def dismiss_peer(line: Line, messages: PeerMessages, ending: CallEnding, cause: str) -> None:
    """Tell the peer that the call is over, and how it ended; then close its socket.

    Args:
        cause: The call's end cause.

    Raises:
        OSError: The peer does not read.
    """
    line.hush()
    await messages.flush()
    dialect = line.dialect
    failure = ending.failure or FAILED.get(cause)
    if failure is not None:
        await line.send(dialect.error(*failure, True))
    else:
        await line.send(dialect.status("ended"))
    if not ending.gone.is_set() and (cause in GRACEFUL or cause in FAILED):
        await line.send(dialect.stop())
    await line.channel.close(CLOSE_CODES.get(cause, 1000), cause)
