/** Turns what the microphone hears into packets of 20 ms, 16-bit, at the wire's rate. */

import { loudness } from "./level.js";
import { Resampler } from "./resampler.js";

class MicrophoneProcessor extends AudioWorkletProcessor {
  #resampler;
  #packet;
  #filled = 0;
  #open = true;

  constructor({ processorOptions: { wireHz } }) {
    super();
    this.#resampler = new Resampler(sampleRate, wireHz);
    this.#packet = new Float32Array(wireHz / 50);
    this.port.onmessage = () => (this.#open = false);
  }

  process([channels]) {
    if (channels.length) {
      for (const sample of this.#resampler.push(mono(channels))) {
        this.#packet[this.#filled++] = sample;
        if (this.#filled === this.#packet.length) this.#send();
      }
    }
    return this.#open;
  }

  #send() {
    const pcm = new DataView(new ArrayBuffer(2 * this.#filled));
    this.#packet.forEach((sample, i) => {
      const value = Math.round(32768 * sample);
      pcm.setInt16(2 * i, Math.min(32767, Math.max(-32768, value)), true);
    });
    this.#filled = 0;
    this.port.postMessage({ pcm: pcm.buffer, level: loudness(this.#packet) }, [pcm.buffer]);
  }
}

function mono(channels) {
  if (channels.length === 1) return channels[0];
  return channels[0].map((_, i) => channels.reduce((sum, c) => sum + c[i], 0) / channels.length);
}

registerProcessor("microphone", MicrophoneProcessor);
