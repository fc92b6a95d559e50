/** The page: its controls, and what they do with a call. */

import { Call } from "./call.js";
import { onMeter } from "./level.js";
import { explainEnd } from "./problems.js";
import { developmentToken, listAgents, voiceUrl, whyRefused } from "./server.js";
import { Transcript } from "./transcript.js";

const KEYS = [..."123456789*0#"];
const FIGURES = ["response", "stages", "played", "buffered", "gaps", "unsent", "session"];
const STATES = {
  idle: "Not connected",
  connecting: "Connecting…",
  listening: "Listening",
  thinking: "Thinking",
  speaking: "Speaking",
  paused: "Paused",
  ended: "Call ended",
};

const at = (id) => document.getElementById(id);
const transcript = new Transcript(at("transcript"));
let agents = [];
let call = null;

async function load() {
  for (const key of KEYS) at("keypad").append(keyButton(key));
  try {
    const [list, token] = await Promise.all([listAgents(), developmentToken()]);
    agents = list;
    at("token-row").hidden = token !== null;
  } catch {
    problem("The server cannot be reached. Reload the page once it runs.");
    return;
  }
  showAgents();
  at("call").disabled = at("agent").disabled = agents.length === 0;
  if (agents.length === 0) problem("This server has no agent that works. Its log says why.");
}

function showAgents() {
  const asked = new URLSearchParams(location.search).get("agent");
  const options = agents.map(({ agent_id, name, language }) => {
    const option = new Option(`${name} (${language})`, agent_id, false, agent_id === asked);
    option.lang = language;
    return option;
  });
  at("agent").replaceChildren(...options);
}

function startCall() {
  const agentId = at("agent").value;
  const language = agents.find((agent) => agent.agent_id === agentId)?.language ?? "";
  problem("");
  transcript.clear(language);
  call = new Call(page);
  show("connecting");
  for (const id of FIGURES) at(id).textContent = "–";
  call.start(voiceUrl(), agentId, token).catch((error) => {
    call?.hangUp();
    problem(`The call could not begin: ${error.message}.`);
  });
}

/** A token that is good for a new call. */
async function token() {
  if (!at("token-row").hidden) return at("token").value.trim();
  return (await developmentToken()) ?? "";
}

/** What a call tells; see `Call`. */
const page = {
  problem,
  ready: ({ session_id }) => {
    at("session").textContent = session_id;
    enable(true);
    show("listening");
    at("hang-up").focus();
  },
  transcript: (message) => {
    transcript.add(message);
    if (message.final) at("spoken").textContent = `${message.role}: ${message.text}`;
  },
  interrupted: () => transcript.interrupted(),
  status: ({ state }) => {
    show(state);
    if (state === "listening") transcript.settled();
  },
  metrics: showMetrics,
  error: ({ message }) => problem(message),
  inputLevel: (level) => (at("input-level").value = onMeter(level)),
  unsent: (packets) => (at("unsent").textContent = milliseconds(20 * packets)),
  sound: showSound,
  ended: (end) => {
    call = null;
    enable(false);
    show("ended");
    if (end.code === "unreachable") whyRefused().then((code) => problem(explainEnd({ code })));
    else if (end.fault) problem(explainEnd(end));
    if (end.code.startsWith("auth_") && !at("token-row").hidden) at("token").focus();
    else at("call").focus();
  },
};

function show(state) {
  at("state").textContent = STATES[state] ?? state;
  at("state").dataset.state = state;
  const busy = call !== null;
  at("call").hidden = busy;
  at("hang-up").hidden = !busy;
  at("agent").disabled = at("token").disabled = busy;
}

function enable(live) {
  for (const id of ["text", "send", "interrupt"]) at(id).disabled = !live;
  at("mute").disabled = !(live && call.canMute);
  for (const key of at("keypad").children) key.disabled = !live;
  if (live) return;
  at("mute").setAttribute("aria-pressed", "false");
  at("input-level").value = at("output-level").value = 0;
}

function showMetrics({ turn, response_ms, stt_ms, llm_ms, tts_ms }) {
  const response = milliseconds(response_ms);
  at("response").textContent = response;
  at("stages").textContent = [stt_ms, llm_ms, tts_ms].map(milliseconds).join(", ");
  if (response_ms !== null) transcript.note(`turn ${turn}, answered after ${response}`);
}

function showSound({ bufferedMs, playedMs, gaps, droppedMs, level }) {
  at("output-level").value = onMeter(level);
  at("played").textContent = `${(playedMs / 1000).toFixed(1)} s`;
  at("buffered").textContent = milliseconds(bufferedMs);
  at("gaps").textContent = droppedMs ? `${gaps}, ${milliseconds(droppedMs)} dropped` : `${gaps}`;
}

function milliseconds(value) {
  return value === null ? "–" : `${Math.round(value)} ms`;
}

/** Show what is wrong, or nothing. */
function problem(text) {
  at("problem").textContent = text;
  at("problem").hidden = text === "";
}

function keyButton(key) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = key;
  button.disabled = true;
  button.onclick = () => call?.sendDigit(key);
  return button;
}

at("call-form").onsubmit = (event) => {
  event.preventDefault();
  if (call === null && !at("call").disabled) startCall();
};
at("hang-up").onclick = () => call?.hangUp();
at("interrupt").onclick = () => call?.interrupt();
at("mute").onclick = ({ target }) => {
  const muted = target.getAttribute("aria-pressed") !== "true";
  target.setAttribute("aria-pressed", String(muted));
  call?.mute(muted);
};
at("text-form").onsubmit = (event) => {
  event.preventDefault();
  const text = at("text").value.trim();
  if (call === null || text === "") return;
  call.sendText(text);
  at("text").value = "";
};
addEventListener("pagehide", () => call?.hangUp());

load();
