"""Talk to an agent: python client.py URL TOKEN SPOKEN.wav HEARD.wav [SECONDS]"""

import asyncio
import json
import sys
import wave

from websockets.asyncio.client import ClientConnection, connect


async def speak(socket: ClientConnection, pcm: bytes, rate_hz: int, seconds: float) -> None:
    loop, size = asyncio.get_running_loop(), rate_hz // 25
    began = loop.time()
    for number in range(-(-len(pcm) // size) + round(seconds * 50)):  # then silence
        await asyncio.sleep(began + number * 0.02 - loop.time())
        await socket.send(pcm[number * size : (number + 1) * size].ljust(size, b"\0"))
    await socket.send(json.dumps({"type": "control", "action": "end"}))


async def talk(url: str, token: str, spoken: str, heard: str, seconds: str = "10") -> None:
    with wave.open(spoken) as source, wave.open(heard, "wb") as sink:
        sink.setparams(source.getparams())  # 16-bit mono at 8, 16 or 24 kHz
        rate_hz, pcm = source.getframerate(), source.readframes(source.getnframes())
        async with connect(url) as socket, asyncio.TaskGroup() as tasks:
            auth = {"token": token, "format": f"pcm_{rate_hz // 1000}k", "binary": True}
            await socket.send(json.dumps({"type": "auth", **auth}))
            async for message in socket:
                match message if isinstance(message, bytes) else json.loads(message):
                    case bytes() as audio:  # a player queues it, and drops it at "interrupted"
                        sink.writeframes(audio)
                    case {"type": "ready"}:
                        tasks.create_task(speak(socket, pcm, rate_hz, float(seconds)))
                    case {"type": "transcript", "final": True, "role": role, "text": text}:
                        print(f"{role}: {text}")
                    case {"type": "error", "fatal": True, "code": code, "message": text}:
                        sys.exit(f"{code}: {text}")


asyncio.run(talk(*sys.argv[1:]))
