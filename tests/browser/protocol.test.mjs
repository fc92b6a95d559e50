/** The page's side of the client protocol, over a socket that a test holds the other end of. */

import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { explainEnd } from "../../web/problems.js";
import { VoiceSession } from "../../web/protocol.js";

class FakeSocket {
  readyState = 0;
  bufferedAmount = 0;
  sent = [];

  constructor(url) {
    this.url = url;
  }

  send(data) {
    this.sent.push(typeof data === "string" ? JSON.parse(data) : data);
  }

  close(code) {
    this.closedWith = code;
  }

  opens() {
    this.readyState = 1;
    this.onopen();
  }

  says(message) {
    this.onmessage({ data: JSON.stringify(message) });
  }

  closes(code, reason = "") {
    this.readyState = 3;
    this.onclose({ code, reason });
  }
}

let socket, told, session;

beforeEach(() => {
  mock.timers.enable({ apis: ["setTimeout"] });
  told = [];
  const handlers = new Proxy({}, { get: (_, name) => (message) => told.push([name, message]) });
  class Socket extends FakeSocket {
    constructor(url) {
      super(url);
      socket = this;
    }
  }
  const options = { url: "ws://127.0.0.1/voice", token: "a.b.c", agentId: "desk" };
  session = new VoiceSession(options, handlers, Socket);
});
afterEach(() => mock.timers.reset());

function begin() {
  socket.opens();
  socket.says({ type: "ready", session_id: "s" });
  socket.sent = [];
  told = [];
}

test("it introduces itself, and sends no sound before ready", () => {
  session.sendAudio(new ArrayBuffer(640));
  socket.opens();
  session.sendAudio(new ArrayBuffer(640));
  assert.deepEqual(socket.sent, [
    { type: "auth", token: "a.b.c", agent_id: "desk", format: "pcm_16k", binary: true },
  ]);
  socket.says({ type: "ready", session_id: "s" });
  session.sendAudio(new ArrayBuffer(640));
  assert.equal(socket.sent.length, 2);
});

test("it passes on what it knows and ignores what it does not", () => {
  begin();
  const packet = new ArrayBuffer(640);
  socket.onmessage({ data: packet });
  socket.says({ type: "transcript", role: "user", text: "नमस्ते", final: false });
  socket.says({ type: "of the future" });
  socket.says({ type: "interrupted" });
  socket.says({ type: "error", code: "message_invalid", message: "m", fatal: false });
  assert.deepEqual(told.map(([name]) => name), ["audio", "transcript", "interrupted", "error"]);
  assert.equal(told[0][1], packet);
});

test("it says what a person does", () => {
  begin();
  session.sendText("hello");
  session.sendDigit("#");
  session.interrupt();
  session.end();
  assert.deepEqual(socket.sent, [
    { type: "text", text: "hello" },
    { type: "dtmf", digit: "#" },
    { type: "control", action: "interrupt" },
    { type: "control", action: "end" },
  ]);
});

test("sound is dropped where the line stands still", () => {
  begin();
  socket.bufferedAmount = 100_000;
  session.sendAudio(new ArrayBuffer(640));
  assert.deepEqual([socket.sent.length, session.dropped], [0, 1]);
});

test("no sound is sent on a line that is being closed", () => {
  begin();
  socket.readyState = 2;
  assert.equal(session.sendAudio(new ArrayBuffer(640)), true);
  assert.deepEqual([socket.sent.length, session.dropped], [0, 0]);
});

test("a fatal error is the reason of the end, told once", () => {
  socket.opens();
  socket.says({ type: "error", code: "server_full", message: "m", fatal: true });
  socket.closes(1013, "server_full");
  socket.closes(1006);
  assert.deepEqual(told, [["closed", { code: "server_full", message: "m", fault: true }]]);
});

for (const [name, act, code, fault] of [
  ["the agent hangs up", () => socket.closes(1000, "agent_hangup"), "agent_hangup", false],
  ["the connection is lost", () => socket.closes(1006), "lost", true],
  ["the server stops", () => socket.closes(1001, "drained"), "drained", true],
]) {
  test(`it tells how a call ended: ${name}`, () => {
    begin();
    act();
    assert.deepEqual(told, [["closed", { code, message: "", fault }]]);
  });
}

test("a server that cannot be reached", () => {
  socket.closes(1006);
  assert.equal(told[0][1].code, "unreachable");
});

test("a server that does not answer is given up after 10 s", () => {
  socket.opens();
  mock.timers.tick(9_999);
  assert.deepEqual(told, []);
  mock.timers.tick(1);
  assert.deepEqual(told, [["closed", { code: "no_answer", message: "", fault: true }]]);
  assert.equal(socket.closedWith, 1000);
});

test("hanging up does not wait for a server that is gone", () => {
  begin();
  session.end();
  mock.timers.tick(3_000);
  assert.deepEqual(told, [["closed", { code: "client_end", message: "", fault: false }]]);
  socket.says({ type: "status", state: "ended" });
  assert.equal(told.length, 1);
});

test("every end has words for a person", () => {
  for (const code of ["auth_expired", "agent_unknown", "server_full", "lost", "unreachable"]) {
    assert.doesNotMatch(explainEnd({ code, message: "" }), /^The call failed/);
  }
  assert.equal(explainEnd({ code: "odd", message: "It is odd" }), "It is odd (odd)");
});
