/** What the page asks the server for besides the call itself. */

/**
 * @returns {Promise<{agent_id: string, name: string, language: string}[]>} Those that serve now.
 */
export async function listAgents() {
  const answer = await fetch("/agents/", { cache: "no-store" });
  if (!answer.ok) throw new Error(`the list of agents came with ${answer.status}`);
  return answer.json();
}

/** @returns {Promise<string | null>} A new token; null where the server gives none away. */
export async function developmentToken() {
  const answer = await fetch("/dev/token", { method: "POST" });
  return answer.ok ? (await answer.json()).token : null;
}

/**
 * Why the server takes no call. A browser does not tell a page with what words its socket was
 * turned away.
 *
 * @returns {Promise<string>} `draining`, `server_full`, or `unreachable` where it does not say.
 */
export async function whyRefused() {
  try {
    const answer = await fetch("/health/ready", { cache: "no-store" });
    const { ready, reason } = await answer.json();
    if (ready) return "unreachable";
    return reason === "draining" ? "draining" : "server_full";
  } catch {
    return "unreachable";
  }
}

/** Where calls go: the server that this page came from. */
export function voiceUrl() {
  const url = new URL("/voice", location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url.href;
}
