/** One call: the session with the server, the microphone and the loudspeaker, opened and closed. */

import { Microphone } from "./microphone.js";
import { INSECURE, MICROPHONE_LOST, explainMicrophone } from "./problems.js";
import { VoiceSession, WIRE_HZ } from "./protocol.js";
import { Speaker } from "./speaker.js";

export class Call {
  #context = null;
  #microphone = null;
  #speaker = null;
  #session = null;
  #closed = false;

  /**
   * @param {object} page What the page wants to know: `problem(text)`, `inputLevel(rms)`,
   *   `unsent(packets)`, `sound(report)`, and `ready`, `transcript`, `status`, `metrics`, `error`, `ended` as in
   *   `protocol.Handlers`.
   */
  constructor(page) {
    this.page = page;
  }

  get canMute() {
    return this.#microphone !== null;
  }

  /**
   * Call this from a click or a key: browsers start no sound on their own.
   *
   * @param {string} url
   * @param {string} agentId
   * @param {() => Promise<string>} getToken
   */
  async start(url, agentId, getToken) {
    try {
      await this.#openSound();
      const token = await getToken();
      if (!this.#closed) this.#session = new VoiceSession({ url, agentId, token }, this.#handlers());
    } catch (error) {
      // Whoever hangs up meanwhile takes the sound away from what is still being opened.
      if (!this.#closed) throw error;
    }
  }

  hangUp() {
    if (this.#session) this.#session.end();
    else this.#end({ code: "client_end", message: "", fault: false });
  }

  mute(muted) {
    this.#microphone.muted = muted;
  }

  interrupt() {
    this.#speaker?.clear();
    this.#session.interrupt();
  }

  sendText(text) {
    this.#session.sendText(text);
  }

  sendDigit(digit) {
    this.#session.sendDigit(digit);
  }

  /** Both directions of sound; a call without a microphone, or without any sound, is typed. */
  async #openSound() {
    if (!window.isSecureContext) {
      this.page.problem(INSECURE);
      return;
    }
    const context = new AudioContext({ latencyHint: "interactive" });
    this.#context = context;
    await context.resume();
    this.#speaker = await Speaker.open(context, WIRE_HZ, (report) => this.page.sound(report));
    const handlers = {
      packet: (pcm, level) => {
        this.page.inputLevel(level);
        if (this.#session?.sendAudio(pcm) === false) this.page.unsent(this.#session.dropped);
      },
      lost: () => this.page.problem(MICROPHONE_LOST),
    };
    try {
      this.#microphone = await Microphone.open(context, WIRE_HZ, handlers);
    } catch (error) {
      if (!this.#closed) this.page.problem(explainMicrophone(error));
    }
    if (this.#closed) this.#release();
  }

  #handlers() {
    const { ready, transcript, status, metrics, error } = this.page;
    return {
      ready,
      transcript,
      status,
      metrics,
      error,
      audio: (pcm) => this.#speaker?.play(pcm),
      interrupted: () => {
        this.#speaker?.clear();
        this.page.interrupted();
      },
      closed: (end) => this.#end(end),
    };
  }

  #end(end) {
    if (this.#closed) return;
    this.#closed = true;
    this.#release();
    this.page.ended(end);
  }

  #release() {
    this.#microphone?.close();
    this.#speaker?.close();
    this.#context?.close();
    this.#microphone = this.#speaker = this.#context = null;
  }
}
