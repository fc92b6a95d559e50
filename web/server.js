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

/** Where calls go: the server that this page came from. */
export function voiceUrl() {
  const url = new URL("/voice", location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url.href;
}
