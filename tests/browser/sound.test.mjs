/** What the page's sound goes through, without a browser. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { JitterBuffer } from "../../web/jitter-buffer.js";
import { loudness, onMeter } from "../../web/level.js";
import { Resampler } from "../../web/resampler.js";

function tone(hz, rateHz, seconds) {
  const step = (2 * Math.PI * hz) / rateHz;
  return Float32Array.from({ length: rateHz * seconds }, (_, i) => Math.sin(step * i));
}

/** Resample in blocks of an audio worklet, and leave out the filter's start. */
function resampled(samples, inputHz, outputHz, block = 128) {
  const resampler = new Resampler(inputHz, outputHz);
  const output = [];
  for (let i = 0; i < samples.length; i += block) {
    output.push(...resampler.push(samples.subarray(i, i + block)));
  }
  return Float32Array.from(output);
}

const db = (rms) => 20 * Math.log10(rms * Math.SQRT2);

for (const [inputHz, outputHz] of [[48000, 16000], [44100, 16000], [16000, 48000], [16000, 44100]]) {
  test(`${inputHz} to ${outputHz} Hz: speech stays, nothing folds back`, () => {
    const part = (hz) => resampled(tone(hz, inputHz, 1), inputHz, outputHz).subarray(2000);
    for (const hz of [100, 1000, 4000, 6800]) {
      assert.ok(Math.abs(db(loudness(part(hz)))) < 0.1, `${hz} Hz: ${db(loudness(part(hz)))} dB`);
    }
    if (inputHz > outputHz) {
      for (const hz of [8100, 9000, 12000, 15900]) {
        assert.ok(db(loudness(part(hz))) < -65, `${hz} Hz: ${db(loudness(part(hz)))} dB`);
      }
    }
  });

  test(`${inputHz} to ${outputHz} Hz: no sample is lost or made up, however it comes`, () => {
    const speech = tone(440, inputHz, 2);
    const whole = resampled(speech, inputHz, outputHz, speech.length);
    assert.equal(whole.length, 2 * outputHz);
    for (const block of [1, 97, 128, 1000]) {
      assert.deepEqual(resampled(speech, inputHz, outputHz, block), whole);
    }
  });
}

test("a tone keeps its pitch", () => {
  const output = resampled(tone(997, 48000, 1.1), 48000, 16000).subarray(1600);
  let crossings = 0;
  for (let i = 1; i < output.length; i++) crossings += output[i - 1] < 0 && output[i] >= 0;
  assert.ok(Math.abs(crossings - 997) <= 2, `${crossings} Hz`);
});

test("mirror images of speech stay out of what is played", () => {
  const output = resampled(tone(3000, 16000, 1), 16000, 48000).subarray(4000, 4000 + 4800);
  const image = { re: 0, im: 0 }; // 16 kHz - 3 kHz
  output.forEach((sample, i) => {
    image.re += sample * Math.cos((2 * Math.PI * 13000 * i) / 48000);
    image.im += sample * Math.sin((2 * Math.PI * 13000 * i) / 48000);
  });
  assert.ok(20 * Math.log10((2 * Math.hypot(image.re, image.im)) / output.length) < -65);
});

const RATE_HZ = 1000; // one sample is one millisecond
const samples = (count, value = 1) => new Float32Array(count).fill(value);

function pull(buffer, count) {
  const output = new Float32Array(count);
  buffer.pull(output);
  return output;
}

test("it plays once enough has come, and to the last sample", () => {
  const buffer = new JitterBuffer(RATE_HZ);
  buffer.push(samples(40));
  assert.deepEqual(pull(buffer, 10), samples(10, 0));
  buffer.push(samples(40));
  assert.deepEqual(pull(buffer, 50), samples(50));
  assert.equal(buffer.bufferedMs, 30);
  assert.deepEqual([...pull(buffer, 50)], [...samples(30), ...samples(20, 0)]);
  assert.equal(buffer.playedMs, 80);
  assert.equal(buffer.gaps, 0);
});

test("what is shorter than the wait is played too", () => {
  const buffer = new JitterBuffer(RATE_HZ);
  buffer.push(samples(20));
  let heard = 0;
  for (let i = 0; i < 20; i++) heard += pull(buffer, 10).filter((s) => s === 1).length;
  assert.equal(heard, 20);
});

test("a gap is counted and makes it wait for longer; a pause between sentences is none", () => {
  const buffer = new JitterBuffer(RATE_HZ);
  buffer.push(samples(60));
  pull(buffer, 100);
  buffer.push(samples(60));
  assert.equal(buffer.gaps, 1);
  assert.deepEqual(pull(buffer, 10), samples(10, 0), "60 ms are no longer enough");
  buffer.push(samples(40));
  assert.deepEqual(pull(buffer, 100), samples(100));
  pull(buffer, 400);
  buffer.push(samples(60));
  assert.equal(buffer.gaps, 1);
});

test("an interruption empties it within 5 ms, without a click", () => {
  const buffer = new JitterBuffer(RATE_HZ);
  buffer.push(samples(200));
  pull(buffer, 50);
  buffer.clear();
  assert.equal(buffer.bufferedMs, 5);
  const rest = pull(buffer, 20);
  assert.deepEqual([...rest.subarray(0, 5)].map((s) => s.toFixed(1)), ["1.0", "0.8", "0.6", "0.4", "0.2"]);
  assert.deepEqual(rest.subarray(5), samples(15, 0));
  buffer.push(samples(60));
  assert.equal(buffer.gaps, 0);
});

test("it holds so much and no more", () => {
  const buffer = new JitterBuffer(RATE_HZ, 100);
  buffer.push(samples(100, 1));
  buffer.push(samples(30, 2));
  assert.equal(buffer.bufferedMs, 100);
  assert.equal(buffer.droppedMs, 30);
  assert.deepEqual([...pull(buffer, 100)], [...samples(70, 1), ...samples(30, 2)]);
});

test("meters run from -60 to -6 dBFS", () => {
  assert.equal(onMeter(0), 0);
  assert.equal(onMeter(1), 1);
  assert.ok(Math.abs(onMeter(10 ** (-33 / 20)) - 0.5) < 1e-9);
  assert.equal(loudness(new Float32Array(0)), 0);
});
