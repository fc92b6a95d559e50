/** Plays packets of 16-bit samples at the wire's rate, and tells how that goes. */

import { JitterBuffer } from "./jitter-buffer.js";
import { loudness } from "./level.js";
import { Resampler } from "./resampler.js";

const REPORT_SECONDS = 0.05;

class SpeakerProcessor extends AudioWorkletProcessor {
  #buffer = new JitterBuffer(sampleRate);
  #resampler;
  #nextReport = 0;
  #level = 0;
  #open = true;

  constructor({ processorOptions: { wireHz } }) {
    super();
    this.#resampler = new Resampler(wireHz, sampleRate);
    this.port.onmessage = ({ data }) => this.#take(data);
  }

  process(_inputs, [[output]]) {
    this.#buffer.pull(output);
    this.#level = Math.max(this.#level, loudness(output));
    if (currentTime >= this.#nextReport) this.#report();
    return this.#open;
  }

  #take(message) {
    if (message instanceof ArrayBuffer) this.#buffer.push(this.#resampler.push(floats(message)));
    else if (message === "clear") this.#clear();
    else this.#open = false;
  }

  #clear() {
    this.#buffer.clear();
    this.#resampler.reset();
    this.#report();
  }

  #report() {
    const { bufferedMs, playedMs, gaps, droppedMs } = this.#buffer;
    this.port.postMessage({ bufferedMs, playedMs, gaps, droppedMs, level: this.#level });
    this.#level = 0;
    this.#nextReport = currentTime + REPORT_SECONDS;
  }
}

function floats(pcm) {
  const view = new DataView(pcm);
  const count = pcm.byteLength >> 1;
  return Float32Array.from({ length: count }, (_, i) => view.getInt16(2 * i, true) / 32768);
}

registerProcessor("speaker", SpeakerProcessor);
