/**
 * The page at /, as a person uses it. `tests/integration/test_page.py` starts the server and
 * gives, in the environment: PAGE_PORT, PAGE_SPEECH (a WAV file), PAGE_TOKEN,
 * PAGE_EXPIRED_TOKEN, CHROMIUM.
 */

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { Browser, FOREIGN_HOST, OWN_HOST } from "./browser.mjs";

const { PAGE_PORT, PAGE_SPEECH, PAGE_TOKEN, PAGE_EXPIRED_TOKEN, CHROMIUM } = process.env;
const PAGE = `http://${OWN_HOST}:${PAGE_PORT}/`;
const FOREIGN_PAGE = `http://${FOREIGN_HOST}:${PAGE_PORT}/`;
const GREETING = "Hello. How can I help?";
const QUESTION = "what are your opening hours";
const ANSWER = "We are open from nine to six.";
const STORY = "Once upon a time there was a farmer who had seven fields, and in every field";
const LINES = 2;
/** 20 ms of 16-bit samples at 16 kHz. */
const PACKET_BYTES = 640;

let browser;

before(async () => {
  browser = await Browser.launch(CHROMIUM, PAGE_SPEECH);
});
after(() => browser.close());
afterEach(async () => {
  await browser.closeTabs(); // those of a test that failed
  await allLinesFree();
});

/** Wait until the server has let go of every call. */
async function allLinesFree() {
  const deadline = Date.now() + 20_000;
  for (;;) {
    const { active_sessions } = await (await fetch(`${PAGE}health`)).json();
    if (active_sessions === 0) return;
    assert.ok(Date.now() < deadline, `${active_sessions} calls never ended`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function isLoud(packet) {
  for (let i = 0; i < packet.length; i += 2) {
    if (Math.abs(packet.readInt16LE(i)) > 1000) return true;
  }
  return false;
}

/** A browser whose user does not let the page use the microphone. */
async function withoutMicrophone(page) {
  await page.addInitScript(() => {
    navigator.mediaDevices.getUserMedia = () =>
      Promise.reject(new DOMException("Permission denied", "NotAllowedError"));
  });
}

test("one speaks and hears the answer", async () => {
  const visit = await browser.open(`${PAGE}?agent=desk`);
  await visit.call();
  await visit.shows("#transcript .agent .interim", GREETING);
  await visit.moves("output-level");
  await visit.said("agent", GREETING);
  await visit.moves("input-level");
  await visit.said("user", QUESTION);
  await visit.moves("output-level");
  await visit.said("agent", ANSWER);
  await visit.shows("#response", /^\d+ ms$/);
  await visit.shows("#transcript .agent small", /^turn 1, answered after \d+ ms$/);
  assert.equal(await visit.page.getAttribute("#transcript .user p", "lang"), "en-IN");
  assert.ok((await visit.number("played")) > 2, "both sentences were played");
  assert.ok(visit.packets.every((packet) => packet.length === PACKET_BYTES));
  assert.ok(visit.packets.some(isLoud));
  assert.equal(await visit.page.isVisible("#problem"), false);
  await visit.hangUp();
  assert.ok(await visit.page.isEnabled("#call"));
  await visit.close();
});

test("words appear while they are spoken", async () => {
  const visit = await browser.open(`${PAGE}?agent=dictation`);
  await visit.call();
  const guess = await visit.page.waitForFunction(
    () => document.querySelector("#transcript .user .interim")?.textContent,
  );
  const first = await guess.jsonValue();
  await visit.said("user", QUESTION);
  assert.equal(await visit.page.locator("#transcript .user").count(), 1);
  assert.ok(QUESTION.startsWith(first), first);
  await visit.said("agent", ANSWER);
  await visit.hangUp();
  await visit.close();
});

test("without a microphone one types, interrupts and presses keys", async () => {
  const visit = await browser.open(`${PAGE}?agent=desk`, { beforeLoad: withoutMicrophone });
  await visit.call();
  await visit.shows("#problem", /may not use the microphone/);
  await visit.said("agent", GREETING);
  assert.ok(await visit.page.isDisabled("#mute"));

  await visit.say("tell me a story");
  await visit.said("user", "tell me a story");
  await visit.shows("#transcript .agent .interim", new RegExp(STORY));
  await visit.shows("#state", "Speaking");
  await visit.page.waitForFunction(
    () => parseFloat(document.getElementById("buffered").textContent) > 0,
  );
  await visit.page.click("#interrupt");
  await visit.shows("#state", "Listening");
  await visit.shows("#buffered", "0 ms");
  const heard = await visit.page.locator("#transcript .agent p").last().textContent();
  assert.ok(heard.length < STORY.length && !heard.includes("every field"), heard);

  await visit.page.locator("summary", { hasText: "Keypad" }).click();
  await visit.page.getByRole("button", { name: "1", exact: true }).click();
  await visit.said("agent", "You pressed one.");
  await visit.hangUp();
  assert.deepEqual(visit.packets, []);
  await visit.close();
});

for (const [who, interrupt] of [
  ["the button", (visit) => visit.page.click("#interrupt")],
  ["the server", (_, line) => line.send(JSON.stringify({ type: "interrupted" }))],
]) {
  test(`what waits to be played is dropped when ${who} interrupts`, async () => {
    let line;
    const listenIn = async (page) => {
      await withoutMicrophone(page);
      await page.routeWebSocket(/\/voice$/, (route) => {
        line = route;
        route.connectToServer();
      });
    };
    const visit = await browser.open(`${PAGE}?agent=desk`, { beforeLoad: listenIn });
    await visit.call();
    await visit.said("agent", GREETING);
    const greetingMs = 1000 * (await visit.number("played"));
    for (let i = 0; i < 400; i++) line.send(Buffer.alloc(PACKET_BYTES, 0x11)); // 8 s
    // Until all has come: what comes behind an interruption waits to be played, too.
    await visit.page.waitForFunction((leastMs) => {
      const figure = (id) => parseFloat(document.getElementById(id).textContent);
      return 1000 * figure("played") + figure("buffered") >= leastMs;
    }, greetingMs + 7900);
    const playedBefore = await visit.number("played");
    await interrupt(visit, line);
    await visit.shows("#buffered", "0 ms");
    assert.ok((await visit.number("played")) - playedBefore < 4);
    await visit.hangUp();
    await visit.close();
  });
}

test("a muted microphone sends silence", async () => {
  const visit = await browser.open(`${PAGE}?agent=desk`);
  await visit.call();
  await visit.page.click("#mute");
  assert.equal(await visit.page.getAttribute("#mute", "aria-pressed"), "true");
  const before = visit.packets.length;
  while (visit.packets.length < before + 350) { // past the end of what is spoken
    await visit.page.waitForEvent("websocket", { timeout: 100 }).catch(() => {});
  }
  assert.equal(visit.packets.some(isLoud), false);
  assert.equal(await visit.page.locator("#transcript .user").count(), 0);
  await visit.hangUp();
  await visit.close();
});

test("one may hang up while the browser still asks for the microphone", async () => {
  const asksForEver = (page) =>
    page.addInitScript(() => {
      navigator.mediaDevices.getUserMedia = () =>
        new Promise((_, reject) => {
          window.refuse = () => reject(new DOMException("Permission denied", "NotAllowedError"));
        });
    });
  const visit = await browser.open(PAGE, { beforeLoad: asksForEver });
  await visit.call();
  await visit.page.waitForFunction(() => window.refuse !== undefined);
  await visit.hangUp();
  await visit.page.evaluate(() => window.refuse());
  assert.equal(await visit.page.isVisible("#problem"), false);
  assert.ok(await visit.page.isEnabled("#call"));
  assert.ok(!visit.requests.some((url) => url.startsWith("ws:")));
  await visit.close();
});

test("it says when the agent is gone", async () => {
  const withGhost = (page) =>
    page.route("**/agents/", async (route) => {
      const answer = await route.fetch();
      const ghost = { agent_id: "ghost", name: "Ghost", language: "hi" };
      await route.fulfill({ response: answer, json: [...(await answer.json()), ghost] });
    });
  const visit = await browser.open(`${PAGE}?agent=ghost`, { beforeLoad: withGhost });
  await visit.call();
  await visit.shows("#problem", /no such agent/);
  await visit.shows("#state", "Call ended");
  await visit.close();
});

test("it says when all lines are busy", async () => {
  const visits = [];
  for (let line = 0; line < LINES; line++) {
    const visit = await browser.open(PAGE, { beforeLoad: withoutMicrophone });
    await visit.call();
    await visit.page.waitForSelector("#text:enabled");
    visits.push(visit);
  }
  const late = await browser.open(PAGE);
  await late.call();
  await late.shows("#problem", /All lines are busy/);
  // Turned away before the upgrade, and told why by the door for readiness.
  await late.close(["Unexpected response code: 503", "/health/ready"]);
  for (const visit of visits) await visit.close();
});

test("elsewhere it asks for a token, and types where there is no sound", async () => {
  const visit = await browser.open(`${FOREIGN_PAGE}?agent=desk`);
  await visit.page.fill("#token", PAGE_EXPIRED_TOKEN);
  await visit.call();
  await visit.shows("#problem", /token has expired/);
  assert.equal(await visit.page.evaluate(() => document.activeElement.id), "token");

  await visit.page.fill("#token", PAGE_TOKEN);
  await visit.page.press("#token", "Enter");
  await visit.shows("#problem", /https:/);
  await visit.say(QUESTION);
  await visit.said("agent", ANSWER);
  await visit.hangUp();
  await visit.close(["/dev/token"]);
});
