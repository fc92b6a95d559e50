/** The microphone: asks for it, and hands over packets of 20 ms at the wire's rate. */

export class Microphone {
  #stream;
  #source;
  #node;

  constructor(stream, source, node) {
    this.#stream = stream;
    this.#source = source;
    this.#node = node;
  }

  /**
   * @param {AudioContext} context
   * @param {number} wireHz
   * @param {{packet: (pcm: ArrayBuffer, level: number) => void, lost: () => void}} handlers
   *   `packet` gets 16-bit little-endian samples; `lost` is told when the device goes away.
   * @throws {DOMException} As `getUserMedia` throws them: NotAllowedError, NotFoundError, …
   */
  static async open(context, wireHz, handlers) {
    const stream = await navigator.mediaDevices.getUserMedia({
      audio: {
        channelCount: 1,
        echoCancellation: true, // without it the agent hears itself and falls silent
        noiseSuppression: true,
        autoGainControl: true,
      },
    });
    try {
      await context.audioWorklet.addModule("/static/microphone-worklet.js");
      const node = new AudioWorkletNode(context, "microphone", { processorOptions: { wireHz } });
      node.port.onmessage = ({ data }) => handlers.packet(data.pcm, data.level);
      const source = context.createMediaStreamSource(stream);
      // It puts out silence; a node that leads nowhere may not be run.
      source.connect(node).connect(context.destination);
      stream.getAudioTracks()[0].onended = () => handlers.lost();
      return new Microphone(stream, source, node);
    } catch (error) {
      stream.getTracks().forEach((track) => track.stop());
      throw error;
    }
  }

  /** Silence goes on being sent: the agent must know that nothing is said. */
  set muted(muted) {
    for (const track of this.#stream.getAudioTracks()) track.enabled = !muted;
  }

  close() {
    this.#node.port.onmessage = null;
    this.#node.port.postMessage("close");
    this.#source.disconnect();
    this.#node.disconnect();
    for (const track of this.#stream.getTracks()) {
      track.onended = null;
      track.stop();
    }
  }
}
