/** What to tell a person when something went wrong. */

const ENDS = {
  auth_expired: "The token has expired. Get a new one and call again.",
  auth_invalid: "The server did not accept the token. Is it whole, and for this agent?",
  agent_unknown: "There is no such agent any more. Choose another one.",
  agent_unusable: "This agent does not work at the moment: its configuration needs the operator.",
  server_full: "All lines are busy. Try again in a moment.",
  draining: "The server is about to stop. Try again in a moment.",
  drained: "The server was stopped.",
  provider_failed: "A speech or language service that this agent needs does not answer.",
  internal: "The server made a mistake. Its log says which.",
  unreachable: "The server cannot be reached, or takes no more calls now. Try again in a moment.",
  no_answer: "The server does not answer.",
  lost: "The connection was lost. Call again.",
};

const MICROPHONE = {
  NotAllowedError:
    "The browser may not use the microphone: allow it beside the address, then call again.",
  NotFoundError: "No microphone was found: connect one, then call again.",
  NotReadableError: "Another program is using the microphone: close it there, then call again.",
};

/** Shown where a browser offers neither microphone nor sound. */
export const INSECURE =
  "Browsers give microphone and sound only to pages on https:// or on localhost, and this one " +
  "is on neither. You can type, and read the answers.";

export const MICROPHONE_LOST = "The microphone was disconnected. You can type, or call again.";

/** @param {{code: string, message: string}} end As `VoiceSession` tells it. */
export function explainEnd({ code, message }) {
  return ENDS[code] ?? (message ? `${message} (${code})` : `The call failed: ${code}.`);
}

/** @param {DOMException} error Of `getUserMedia`. */
export function explainMicrophone(error) {
  const reason = MICROPHONE[error.name] ?? `The microphone does not work: ${error.message}.`;
  return `${reason} Until then you can type.`;
}
