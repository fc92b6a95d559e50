/** Shows what both sides say, while they say it and as it was heard. */

export class Transcript {
  #list;
  #language = "";
  /** The caller's words that may still change. */
  #guess = null;
  /** The agent's answer whose speaking goes on. */
  #answer = null;

  /** @param {HTMLOListElement} list */
  constructor(list) {
    this.#list = list;
  }

  /** @param {string} language BCP-47 code of what will be said; scripts render by it. */
  clear(language) {
    this.#list.replaceChildren();
    this.#language = language;
    this.#guess = this.#answer = null;
  }

  /** @param {{role: string, text: string, final: boolean}} message */
  add({ role, text, final }) {
    if (role === "user") this.#userSaid(text, final);
    else if (final) this.#agentWasHeard(text);
    else this.#agentWillSay(text);
    this.#list.scrollTop = this.#list.scrollHeight;
  }

  /** The agent was cut off: what it has not said will not be said. */
  interrupted() {
    if (this.#answer === null) return;
    this.#answer.cut = true;
    this.#render(this.#answer);
  }

  /** The agent has fallen silent: what it says next is another answer. */
  settled() {
    if (this.#answer?.heard || this.#answer?.cut) this.#answer.settled = true;
  }

  /** A note under the agent's last answer. */
  note(text) {
    if (this.#answer !== null) this.#answer.note.textContent = text;
  }

  #userSaid(text, final) {
    const entry = this.#guess ?? this.#begin("user");
    if (final) entry.heard = text;
    entry.planned = text;
    this.#render(entry);
    this.#guess = final ? null : entry;
  }

  #agentWillSay(text) {
    const last = this.#answer;
    if (last === null || last.cut || last.settled || isOver(last)) this.#beginAnswer();
    this.#answer.planned = joined(this.#answer.planned, text);
    this.#render(this.#answer);
  }

  #agentWasHeard(text) {
    const last = this.#answer;
    if (last === null || (last.cut && last.settled) || isOver(last)) this.#beginAnswer();
    this.#answer.heard = joined(this.#answer.heard, text);
    this.#render(this.#answer);
  }

  /** What the last answer has not said by now it never will. */
  #beginAnswer() {
    if (this.#answer !== null) {
      this.#answer.cut = true;
      this.#render(this.#answer);
      if (this.#answer.heard === "") this.#answer.item.remove();
    }
    this.#answer = this.#begin("agent");
  }

  #begin(role) {
    const item = document.createElement("li");
    item.className = role;
    const words = document.createElement("p");
    words.lang = this.#language;
    words.dir = "auto";
    const [heard, rest] = [document.createElement("span"), document.createElement("span")];
    rest.className = "interim";
    words.append(heard, rest);
    const note = document.createElement("small");
    item.append(words, note);
    this.#list.append(item);
    return { item, parts: [heard, rest], note, heard: "", planned: "", cut: false, settled: false };
  }

  #render({ item, parts, heard, planned, cut }) {
    const rest = !cut && planned.startsWith(heard) ? planned.slice(heard.length) : "";
    parts[0].textContent = heard;
    parts[1].textContent = rest;
    item.classList.toggle("final", rest === "");
  }
}

/** Whether all of an answer has been heard. */
function isOver({ heard, planned, cut }) {
  return !cut && heard !== "" && heard.length >= planned.length;
}

function joined(before, text) {
  return before && text ? `${before} ${text}` : before + text;
}
