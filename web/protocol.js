/** The client protocol (docs/client-protocol.md) over one WebSocket; knows nothing of the page. */

export const WIRE_HZ = 16_000;
const FORMAT = "pcm_16k";
const READY_MS = 10_000;
const CLOSE_MS = 3_000;
/** Two seconds of audio: what a line that stands still may hold before it is dropped. */
const MOST_UNSENT_BYTES = 2 * 2 * WIRE_HZ;

/**
 * @typedef {object} Handlers Called for what the server says, each with the message.
 * @property {(message: object) => void} ready
 * @property {(pcm: ArrayBuffer) => void} audio Samples to play, in order.
 * @property {() => void} interrupted Drop what has not been played.
 * @property {(message: object) => void} transcript
 * @property {(message: object) => void} status
 * @property {(message: object) => void} metrics
 * @property {(message: object) => void} error One after which the session goes on.
 * @property {(end: {code: string, message: string, fault: boolean}) => void} closed Once, last.
 */

export class VoiceSession {
  #socket;
  #handlers;
  #ready = false;
  #fatal = null;
  #opened = false;
  #timer;
  #done = false;

  /** Packets not sent because the line stood still. */
  dropped = 0;

  /**
   * @param {{url: string, token: string, agentId: string}} options
   * @param {Handlers} handlers
   * @param {typeof WebSocket} Socket
   */
  constructor({ url, token, agentId }, handlers, Socket = WebSocket) {
    this.#handlers = handlers;
    this.#socket = new Socket(url);
    this.#socket.binaryType = "arraybuffer";
    this.#socket.onopen = () => {
      this.#opened = true;
      this.#say({ type: "auth", token, agent_id: agentId, format: FORMAT, binary: true });
    };
    this.#socket.onmessage = ({ data }) => this.#take(data);
    this.#socket.onclose = ({ code, reason }) => this.#closed(code, reason);
    this.#timer = setTimeout(() => this.#abandon("no_answer"), READY_MS);
  }

  /**
   * @param {ArrayBuffer} pcm Whole 16-bit samples at `WIRE_HZ`.
   * @returns {boolean} False where the line stands still and the packet was dropped.
   */
  sendAudio(pcm) {
    // A line that is being closed takes nothing, and the browser would complain.
    if (!this.#ready || this.#done || this.#socket.readyState !== 1) return true;
    if (this.#socket.bufferedAmount > MOST_UNSENT_BYTES) {
      this.dropped += 1;
      return false;
    }
    this.#socket.send(pcm);
    return true;
  }

  sendText(text) {
    this.#say({ type: "text", text });
  }

  sendDigit(digit) {
    this.#say({ type: "dtmf", digit });
  }

  interrupt() {
    this.#say({ type: "control", action: "interrupt" });
  }

  /** End the session; `closed` follows within 3 s. */
  end() {
    if (this.#ready) this.#say({ type: "control", action: "end" });
    else this.#socket.close(1000);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#abandon("client_end"), CLOSE_MS);
  }

  #say(message) {
    if (this.#socket.readyState === 1) this.#socket.send(JSON.stringify(message));
  }

  #take(data) {
    if (this.#done) return;
    if (typeof data !== "string") {
      this.#handlers.audio(data);
      return;
    }
    const message = JSON.parse(data);
    switch (message.type) {
      case "ready":
        this.#ready = true;
        clearTimeout(this.#timer);
        this.#handlers.ready(message);
        break;
      case "error":
        if (message.fatal) this.#fatal = message;
        else this.#handlers.error(message);
        break;
      case "transcript":
      case "status":
      case "interrupted":
      case "metrics":
        this.#handlers[message.type](message);
        break;
      default: // the protocol grows; what is new is not ours
    }
  }

  #abandon(reason) {
    this.#socket.close(1000);
    this.#closed(1000, reason);
  }

  #closed(code, reason) {
    if (this.#done) return;
    this.#done = true;
    clearTimeout(this.#timer);
    const { code: cause = reason || (this.#opened ? "lost" : "unreachable"), message = "" } =
      this.#fatal ?? {};
    const fault = this.#fatal !== null || code !== 1000 || reason === "no_answer";
    this.#handlers.closed({ code: cause, message, fault });
  }
}
