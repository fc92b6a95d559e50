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
    this.#answer.planned = "";
    this.#answer.cut = true;
    this.#render(this.#answer);
  }

  /** A note under the agent's last answer. */
  note(text) {
    const answer = this.#answer ?? this.#begin("agent");
    this.#answer = answer;
    answer.note.textContent = text;
  }

  #userSaid(text, final) {
    const entry = this.#guess ?? this.#begin("user");
    if (final) entry.heard = text;
    entry.planned = text;
    this.#render(entry);
    this.#guess = final ? null : entry;
    if (final && this.#answer !== null && this.#isOver(this.#answer)) this.#answer = null;
  }

  #agentWillSay(text) {
    if (this.#answer === null || this.#answer.cut || this.#isOver(this.#answer)) {
      this.#dropEmpty();
      this.#answer = this.#begin("agent");
    }
    this.#answer.planned = joined(this.#answer.planned, text);
    this.#render(this.#answer);
  }

  #agentWasHeard(text) {
    this.#answer ??= this.#begin("agent");
    this.#answer.heard = joined(this.#answer.heard, text);
    this.#render(this.#answer);
  }

  /** Whether all of an answer has been spoken. */
  #isOver({ heard, planned }) {
    return heard !== "" && heard.length >= planned.length;
  }

  #dropEmpty() {
    if (this.#answer?.cut && this.#answer.heard === "") this.#answer.item.remove();
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
    return { item, parts: [heard, rest], note, heard: "", planned: "", cut: false };
  }

  #render({ item, parts, heard, planned }) {
    const rest = planned.startsWith(heard) ? planned.slice(heard.length) : "";
    parts[0].textContent = heard;
    parts[1].textContent = rest;
    item.classList.toggle("final", rest === "");
  }
}

function joined(before, text) {
  return before && text ? `${before} ${text}` : before + text;
}
