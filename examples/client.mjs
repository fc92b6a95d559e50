// Talk to an agent: node client.mjs URL TOKEN SPOKEN.wav HEARD.wav [SECONDS]
import { readFileSync, writeFileSync } from "node:fs";

const [url, token, spoken, heard, seconds = "10"] = process.argv.slice(2);
const file = readFileSync(spoken); // 16-bit mono at 8, 16 or 24 kHz, with the usual 44-byte header
const [header, pcm, rate] = [file.subarray(0, 44), file.subarray(44), file.readUInt32LE(24)];
const size = rate / 25; // bytes of 20 ms
const packets = Math.ceil(pcm.length / size) + Math.round(50 * seconds);
const [socket, received] = [new WebSocket(url), []];
const send = (message) => socket.send(JSON.stringify(message));

function speak() { // as it would be spoken, then silence for a while, then hang up
  let [sequence, began] = [0, performance.now()];
  const timer = setInterval(() => {
    for (; sequence < packets && performance.now() - began >= 20 * sequence; sequence++) {
      const packet = Buffer.alloc(size);
      pcm.copy(packet, 0, Math.min(sequence * size, pcm.length));
      send({ type: "audio", sequence, data: packet.toString("base64") });
    }
    if (sequence === packets) send({ type: "control", action: "end" });
    if (sequence === packets || socket.readyState !== WebSocket.OPEN) clearInterval(timer);
  }, 10);
}

socket.onopen = () => send({ type: "auth", token, format: `pcm_${rate / 1000}k` });
socket.onmessage = ({ data }) => {
  const message = JSON.parse(data);
  if (message.type === "ready") speak();
  if (message.type === "audio") received.push(Buffer.from(message.data, "base64"));
  if (message.type === "transcript" && message.final) console.log(`${message.role}: ${message.text}`);
  if (message.type === "error") console.error(`${message.code}: ${message.message}`);
};
socket.onclose = ({ code }) => {
  const audio = Buffer.concat(received);
  header.writeUInt32LE(36 + audio.length, 4);
  header.writeUInt32LE(audio.length, 40);
  writeFileSync(heard, Buffer.concat([header, audio]));
  process.exitCode = code === 1000 ? 0 : 1;
};
