/** The loudspeaker: plays the agent's packets in order, and drops them when told to. */

export class Speaker {
  #node;

  constructor(node) {
    this.#node = node;
  }

  /**
   * @param {AudioContext} context
   * @param {number} wireHz
   * @param {(report: {bufferedMs: number, playedMs: number, gaps: number, droppedMs: number,
   *   level: number}) => void} report Called about 20 times a second; `level` is the loudest
   *   RMS since the last time.
   */
  static async open(context, wireHz, report) {
    await context.audioWorklet.addModule("/static/speaker-worklet.js");
    const node = new AudioWorkletNode(context, "speaker", {
      numberOfInputs: 0,
      outputChannelCount: [1],
      processorOptions: { wireHz },
    });
    node.port.onmessage = ({ data }) => report(data);
    node.connect(context.destination);
    return new Speaker(node);
  }

  /** @param {ArrayBuffer} pcm 16-bit little-endian samples; not to be used afterwards. */
  play(pcm) {
    this.#node.port.postMessage(pcm, [pcm]);
  }

  /** Fall silent at once. */
  clear() {
    this.#node.port.postMessage("clear");
  }

  close() {
    this.#node.port.onmessage = null;
    this.#node.port.postMessage("close");
    this.#node.disconnect();
  }
}
