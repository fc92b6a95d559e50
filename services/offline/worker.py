"""The recogniser's own process: ``python -m services.offline.worker``.

It talks over the socket it was given as standard input and ends when that is closed. A search
holds the interpreter's lock most of the time, so in the server's process every utterance would
hold up the audio of all calls; here it also has its own memory and may crash alone.
"""

import os
import socket
from collections import OrderedDict
from collections.abc import Callable

import msgspec

#: Kept ready: the vocabularies used last.
MAX_RECOGNIZERS = 16
#: Yield to the process that has to send audio in time.
_NICENESS = 5


def main() -> None:
    """Answer requests until the server closes the connection."""
    os.nice(_NICENESS)
    answer = _with_one_thread(_make_answer)
    with socket.socket(fileno=os.dup(0)) as connection:
        serve(connection, answer)


def _with_one_thread(load: Callable[[], Callable[[bytes], bytes]]) -> Callable[[bytes], bytes]:
    """Import numpy so that it starts no threads: OpenBLAS makes one per processor it may use."""
    if not hasattr(os, "sched_setaffinity"):
        return load()
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        return load()
    finally:
        os.sched_setaffinity(0, allowed)


def _make_answer() -> Callable[[bytes], bytes]:
    from config.errors import ProviderError
    from services.offline.recognizer import Recognizer
    from services.offline.vocabulary import Vocabulary
    from services.offline.wire import NOTHING, Recognition, Reply, Request

    ready: OrderedDict[Vocabulary, Recognizer] = OrderedDict()
    decoder = msgspec.msgpack.Decoder(Request)

    def recognizer_for(vocabulary: Vocabulary) -> Recognizer:
        found = ready.pop(vocabulary, None) or Recognizer(vocabulary)
        ready[vocabulary] = found
        while len(ready) > MAX_RECOGNIZERS:
            ready.popitem(last=False)
        return found

    def recognize(request: Request) -> Recognition:
        recognizer = recognizer_for(request.vocabulary)
        if not request.pcm:
            return NOTHING
        return recognizer.decode(
            request.pcm, rate_hz=request.rate_hz, sensitivity=request.sensitivity
        )

    def answer(message: bytes) -> bytes:
        try:
            reply = Reply(recognize(decoder.decode(message)))
        except ProviderError as error:
            reply = Reply(NOTHING, error_code=error.code, error_message=error.message)
        return msgspec.msgpack.encode(reply)

    return answer


def serve(connection: socket.socket, answer: Callable[[bytes], bytes]) -> None:
    """Answer one message after the other until the peer is gone."""
    from services.offline.wire import HEADER

    with connection.makefile("rb") as incoming:
        while len(header := incoming.read(HEADER.size)) == HEADER.size:
            reply = answer(incoming.read(HEADER.unpack(header)[0]))
            try:
                connection.sendall(HEADER.pack(len(reply)) + reply)
            except OSError:
                return


if __name__ == "__main__":
    main()
