/**
 * Converts a stream of samples between two rates with a polyphase windowed-sinc low-pass.
 *
 * Flat to 7/8 of the lower rate's Nyquist frequency, 70 dB down from that frequency on
 * (Kaiser window), so that nothing above it folds back into speech. Lag: half the filter,
 * about 2 ms between 16 and 48 kHz.
 */

const ATTENUATION_DB = 70;
const KAISER_BETA = 0.1102 * (ATTENUATION_DB - 8.7);
/** Width of the filter's slope, as a part of the lower Nyquist frequency. */
const SLOPE = 1 / 8;

export class Resampler {
  #up;
  #down;
  #phases;
  #taps;
  #history;
  /** Where the next output lies, in input samples after the history: whole and in 1/up. */
  #whole = 0;
  #part = 0;

  /**
   * @param {number} inputHz
   * @param {number} outputHz Both whole numbers.
   */
  constructor(inputHz, outputHz) {
    const divisor = greatestCommonDivisor(inputHz, outputHz);
    this.#up = outputHz / divisor;
    this.#down = inputHz / divisor;
    [this.#phases, this.#taps] = lowPass(inputHz, outputHz, this.#up);
    this.reset();
  }

  /** Forget what came before. */
  reset() {
    this.#history = new Float32Array(this.#taps - 1);
    this.#whole = this.#part = 0;
  }

  /**
   * @param {Float32Array} input The next samples.
   * @returns {Float32Array} What they add to the output.
   */
  push(input) {
    if (this.#up === this.#down) return input;
    const taps = this.#taps;
    const samples = new Float32Array(taps - 1 + input.length);
    samples.set(this.#history);
    samples.set(input, taps - 1);
    const left = (input.length - this.#whole) * this.#up - this.#part;
    const output = new Float32Array(Math.max(0, Math.ceil(left / this.#down)));
    for (let n = 0; n < output.length; n++) {
      output[n] = this.#filtered(samples);
      this.#part += this.#down;
      this.#whole += Math.floor(this.#part / this.#up);
      this.#part %= this.#up;
    }
    this.#whole -= input.length;
    this.#history = samples.slice(input.length);
    return output;
  }

  #filtered(samples) {
    const filter = this.#phases[this.#part];
    const newest = this.#whole + this.#taps - 1;
    let sum = 0;
    for (let k = 0; k < filter.length; k++) sum += filter[k] * samples[newest - k];
    return sum;
  }
}

/** One filter for each place between two input samples at which an output may lie. */
function lowPass(inputHz, outputHz, up) {
  const nyquistHz = Math.min(inputHz, outputHz) / 2;
  const slope = (2 * Math.PI * SLOPE * nyquistHz) / inputHz;
  const taps = Math.ceil((ATTENUATION_DB - 8) / (2.285 * slope)) + 1;
  const bandwidth = (2 * (1 - SLOPE / 2) * nyquistHz) / inputHz;
  const phases = [];
  for (let phase = 0; phase < up; phase++) {
    const filter = Float32Array.from({ length: taps }, (_, k) => {
      const time = k + phase / up - taps / 2;
      return sinc(bandwidth * time) * kaiser((2 * time) / taps);
    });
    const sum = filter.reduce((total, tap) => total + tap, 0);
    phases.push(filter.map((tap) => tap / sum));
  }
  return [phases, taps];
}

function sinc(x) {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

function kaiser(x) {
  return Math.abs(x) > 1 ? 0 : bessel(KAISER_BETA * Math.sqrt(1 - x * x)) / bessel(KAISER_BETA);
}

/** The modified Bessel function of the first kind, order 0, by its power series. */
function bessel(x) {
  let [sum, term] = [1, 1];
  for (let k = 1; term > 1e-12 * sum; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

function greatestCommonDivisor(a, b) {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
