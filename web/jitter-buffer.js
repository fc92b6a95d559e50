/**
 * Evens out audio that arrives in packets: waits for a little of it, then plays without pause.
 *
 * All samples are floats at one rate. After a gap that the network made it waits for more
 * before it goes on, up to `LONGEST_WAIT_MS`, so that a bad line is heard as delay and not as
 * stutter.
 */

const FIRST_WAIT_MS = 60;
const LONGEST_WAIT_MS = 240;
const LONGER_MS = 40;
/** Audio that comes so soon after the buffer ran dry should have come before: a gap. */
const GAP_MS = 300;
/** Length of the slope when audio is dropped, so that it doesn't click. */
const FADE_MS = 5;

export class JitterBuffer {
  #ring;
  #rateHz;
  #read = 0;
  #size = 0;
  #playing = false;
  #waitMs = FIRST_WAIT_MS;
  /** For how long nothing has been played while something waits to be. */
  #waitedMs = 0;
  /** For how long the buffer has been empty since it last played, null if that was no gap. */
  #dryMs = null;
  /** Nothing is left but the slope after `clear`. */
  #fading = false;

  /** What was played, in ms, and what went wrong. */
  playedMs = 0;
  gaps = 0;
  droppedMs = 0;

  /**
   * @param {number} rateHz
   * @param {number} capacityMs The oldest audio is dropped beyond this.
   */
  constructor(rateHz, capacityMs = 10_000) {
    this.#rateHz = rateHz;
    this.#ring = new Float32Array(Math.round((capacityMs * rateHz) / 1000));
  }

  get bufferedMs() {
    return this.#toMs(this.#size);
  }

  /** @param {Float32Array} samples */
  push(samples) {
    if (samples.length === 0) return;
    this.#noteGap();
    this.#fading = false;
    const ring = this.#ring;
    for (const sample of samples) {
      if (this.#size === ring.length) this.#dropOldest();
      ring[(this.#read + this.#size++) % ring.length] = sample;
    }
  }

  /** Fill `output` with what is to be heard next, silence where there is nothing. */
  pull(output) {
    output.fill(0);
    const spanMs = this.#toMs(output.length);
    if (!this.#playing && !this.#mayStart(spanMs)) return;
    const count = Math.min(output.length, this.#size);
    for (let i = 0; i < count; i++) output[i] = this.#take();
    this.playedMs += this.#toMs(count);
    if (this.#size === 0) {
      this.#playing = false;
      this.#dryMs = this.#fading ? null : this.#toMs(output.length - count);
      this.#fading = false;
    }
  }

  /** Fall silent: drop what has not been played. */
  clear() {
    const kept = Math.min(this.#size, Math.round((FADE_MS * this.#rateHz) / 1000));
    this.#size = this.#playing ? kept : 0;
    for (let i = 0; i < this.#size; i++) {
      this.#ring[(this.#read + i) % this.#ring.length] *= 1 - i / kept;
    }
    this.#playing = this.#fading = this.#size > 0;
    this.#waitedMs = 0;
    this.#dryMs = null;
  }

  #mayStart(spanMs) {
    if (this.#size === 0) {
      if (this.#dryMs !== null) this.#dryMs += spanMs;
      return false;
    }
    this.#waitedMs += spanMs;
    // What is shorter than the wait altogether must be played too.
    this.#playing = this.bufferedMs >= this.#waitMs || this.#waitedMs >= 2 * this.#waitMs;
    if (this.#playing) this.#waitedMs = 0;
    return this.#playing;
  }

  #noteGap() {
    if (this.#dryMs !== null && this.#dryMs < GAP_MS) {
      this.gaps += 1;
      this.#waitMs = Math.min(this.#waitMs + LONGER_MS, LONGEST_WAIT_MS);
    }
    this.#dryMs = null;
  }

  #take() {
    const sample = this.#ring[this.#read];
    this.#read = (this.#read + 1) % this.#ring.length;
    this.#size -= 1;
    return sample;
  }

  #dropOldest() {
    this.#take();
    this.droppedMs += this.#toMs(1);
  }

  #toMs(samples) {
    return (samples * 1000) / this.#rateHz;
  }
}
