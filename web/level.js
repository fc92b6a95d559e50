/** Root mean square of samples between -1 and 1. */
export function loudness(samples) {
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  return samples.length ? Math.sqrt(sum / samples.length) : 0;
}

/** Where a loudness lies on a meter from -60 dBFS (0) to -6 dBFS (1). */
export function onMeter(rms) {
  const db = 20 * Math.log10(Math.max(rms, 1e-6));
  return Math.min(1, Math.max(0, (db + 60) / 54));
}
