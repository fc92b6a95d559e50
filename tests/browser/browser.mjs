/** A headless Chromium whose microphone is a WAV file, and a watch on what its pages do. */

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

export const OWN_HOST = "127.0.0.1";
/** The same server under a name that is not loopback: no secure context, no token given away. */
export const FOREIGN_HOST = "voice.test";

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--use-fake-ui-for-media-stream",
  "--use-fake-device-for-media-stream",
  `--host-resolver-rules=MAP ${FOREIGN_HOST} ${OWN_HOST}`,
];

export class Browser {
  #context;
  #profile;

  /** @param {string} wav What the microphone hears, once, from when it is opened. */
  static async launch(executablePath, wav) {
    const browser = new Browser();
    browser.#profile = await mkdtemp(join(tmpdir(), "page-test-"));
    browser.#context = await chromium.launchPersistentContext(browser.#profile, {
      executablePath,
      headless: true,
      args: [...FLAGS, `--use-file-for-fake-audio-capture=${wav}%noloop`],
    });
    browser.#context.setDefaultTimeout(20_000);
    return browser;
  }

  /** Open an address in a tab of its own and wait until the page can call. */
  async open(url, { beforeLoad = async () => {} } = {}) {
    const page = await this.#context.newPage();
    const visit = new Visit(page);
    await beforeLoad(page);
    await page.goto(url);
    await page.waitForSelector("#call:enabled");
    return visit;
  }

  async closeTabs() {
    // The first tab is the browser's own; without any it ends.
    for (const page of this.#context.pages().slice(1)) await page.close();
  }

  async close() {
    await this.#context.close();
    await rm(this.#profile, { recursive: true, force: true });
  }
}

/** One tab with the page. */
export class Visit {
  requests = [];
  complaints = [];
  /** Audio that the page sent, in packets. */
  packets = [];

  constructor(page) {
    this.page = page;
    page.on("request", (request) => this.requests.push(request.url()));
    page.on("pageerror", (error) => this.complaints.push(String(error)));
    page.on("console", (message) => {
      if (["error", "warning"].includes(message.type())) {
        this.complaints.push(`${message.text()} ${message.location().url}`);
      }
    });
    page.on("websocket", (socket) => {
      this.requests.push(socket.url());
      socket.on("framesent", ({ payload }) => {
        if (typeof payload !== "string") this.packets.push(payload);
      });
    });
  }

  call() {
    return this.page.click("#call");
  }

  async say(text) {
    await this.page.fill("#text", text);
    await this.page.press("#text", "Enter");
  }

  /** Wait until a control or a figure shows a text, or one that matches. */
  async shows(selector, expected) {
    const text = expected instanceof RegExp ? expected : new RegExp(`^${escaped(expected)}$`);
    await this.page.locator(selector, { hasText: text }).first().waitFor({ state: "attached" });
  }

  /** Wait until one side's words are in the transcript, to the end and not as a guess. */
  async said(role, text) {
    await this.shows(`#transcript .${role}.final p`, text);
  }

  /** Wait until a meter shows more than nothing. */
  async moves(meter) {
    await this.page.waitForFunction((id) => document.getElementById(id).value > 0.2, meter);
  }

  number(id) {
    return this.page.$eval(`#${id}`, (figure) => parseFloat(figure.textContent));
  }

  async hangUp() {
    await this.page.click("#hang-up");
    await this.shows("#state", "Call ended");
  }

  /** The page complained of nothing but what was expected, and spoke to this machine alone. */
  async close(expected = []) {
    await this.page.close();
    const surprises = this.complaints.filter((text) => !expected.some((e) => text.includes(e)));
    assert.deepEqual(surprises, []);
    const hosts = new Set(this.requests.map((url) => new URL(url).hostname));
    hosts.delete(FOREIGN_HOST);
    assert.deepEqual([...hosts].filter((host) => host !== OWN_HOST), []);
  }
}

function escaped(text) {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
