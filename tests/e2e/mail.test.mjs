// Codes by mail: a real mail server, a mail API, and what is said when they fail.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createServer } from "node:http";
import { createServer as createTcpServer } from "node:net";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";

import { EMAIL, openScene } from "./scene.mjs";
import { within } from "./within.mjs";

const SERVER = fileURLToPath(new URL("mail_server.py", import.meta.url));
const closing = [];
after(async () => {
  for (const close of closing.reverse()) await close();
});

/** Starts the mail server; `next()` resolves to the next thing it says. */
async function startMailServer(options) {
  const python = process.env.COMIND_OPENAI_PYTHON;
  assert.ok(python, "COMIND_OPENAI_PYTHON is set by scripts/env.sh: run this by `make edge-test`");
  const child = spawn(python, [SERVER, JSON.stringify(options)], { stdio: ["pipe", "pipe", "inherit"] });
  const lines = [];
  const waiting = [];
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (chunk) => {
    text += chunk;
    const whole = text.split("\n");
    text = whole.pop();
    for (const line of whole) {
      const said = JSON.parse(line);
      if (waiting.length) waiting.shift()(said);
      else lines.push(said);
    }
  });
  const next = () =>
    within(10_000, lines.length ? lines.shift() : new Promise((resolve) => waiting.push(resolve)));
  closing.push(() => {
    child.stdin.end();
    child.kill("SIGKILL");
  });
  return { ...(await next()), next, unread: lines };
}

/** An edge that posts to it. */
async function openOffice(settings, trustedCertificates) {
  const scene = await openScene({
    settings: { MAIL_FROM: "edge@example.com", MAIL_LIMIT_PER_HOUR: "100", ...settings },
    trustedCertificates,
  });
  closing.push(() => scene.abandon());
  return scene;
}

const ask = (scene, email = EMAIL) => scene.anonymous.post("/v1/auth/password-reset-request", { email });
const codeIn = (text) => /^(\d{6})\r?$/m.exec(text)?.[1];

/** Waits until the log has a line; gives the log. */
async function logged(scene, pattern) {
  for (const start = Date.now(); Date.now() - start < 30_000;) {
    if (pattern.test(scene.edge.log())) return scene.edge.log();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.match(scene.edge.log(), pattern);
}

for (const [name, security, scheme] of [
  ["STARTTLS", "starttls", "smtp"],
  ["TLS from the start", "tls", "smtps"],
]) {
  test(`a mail goes out over ${name} with a password, and its code works`, async () => {
    const password = "mail-password-of-this-suite";
    const server = await startMailServer({ security, password });
    const scene = await openOffice(
      { MAIL_URL: `${scheme}://localhost:${server.port}`, MAIL_USERNAME: "edge", MAIL_PASSWORD: password },
      [server.certificate],
    );
    scene.conceal(password);
    assert.equal((await ask(scene)).status, 200);
    const mail = await server.next();
    assert.deepEqual(
      [mail.from, mail.to, mail.is_secure, mail.user],
      ["edge@example.com", [EMAIL], true, "edge"],
    );
    assert.match(
      mail.data,
      /^From: <edge@example\.com>\r\nTo: <ada@example\.com>\r\nSubject: Set a new password\r\n/,
    );
    assert.match(mail.data, /\r\nDate: \w{3}, \d\d \w{3} \d{4} [\d:]{8} \+0000\r\n/);
    const code = scene.conceal(codeIn(mail.data));
    const newPassword = scene.secret("a password by mail");
    const reset = await scene.anonymous.post("/v1/auth/password-reset", { email: EMAIL, code, newPassword });
    assert.equal(reset.status, 200, reset.text);
    await scene.signIn(newPassword);
    await scene.close();
  });
}

test("an address that nobody has gets the same answer and no mail", async () => {
  const server = await startMailServer({ security: "none", password: null });
  const scene = await openOffice({ MAIL_URL: `smtp+plain://127.0.0.1:${server.port}` });
  const answers = [await ask(scene, "nobody@example.com"), await ask(scene)];
  assert.deepEqual(answers[0].json, answers[1].json);
  assert.deepEqual((await server.next()).to, [EMAIL]);
  assert.deepEqual(server.unread, []);
  await scene.close();
});

test("a server without STARTTLS is told neither password nor mail", async () => {
  const server = await startMailServer({ security: "none", password: "never shown" });
  const scene = await openOffice({
    MAIL_URL: `smtp://localhost:${server.port}`,
    MAIL_USERNAME: "edge",
    MAIL_PASSWORD: "never shown",
  });
  assert.equal((await ask(scene)).status, 200);
  await logged(scene, /not sent: STARTTLS 502/);
  assert.deepEqual(server.unread, []);
  await scene.close();
});

test("a server with a certificate that nobody vouches for is not trusted", async () => {
  const server = await startMailServer({ security: "tls", password: null });
  const scene = await openOffice({ MAIL_URL: `smtps://localhost:${server.port}` });
  await ask(scene);
  await logged(scene, /not sent: connection 0/);
  assert.deepEqual(server.unread, []);
  await scene.close();
});

test("a wrong password is logged by its reply code, once", async () => {
  const server = await startMailServer({ security: "starttls", password: "the right one" });
  const scene = await openOffice(
    {
      MAIL_URL: `smtp://localhost:${server.port}`,
      MAIL_USERNAME: "edge",
      MAIL_PASSWORD: "the wrong one of this suite",
    },
    [server.certificate],
  );
  scene.conceal("the wrong one of this suite");
  await ask(scene);
  const log = await logged(scene, /not sent: AUTH 535/);
  assert.ok(!log.includes(EMAIL), "the address is in the log");
  await scene.close();
});

for (const [how, reply] of [
  ["is busy", "451 later"],
  ["breaks off", "close"],
]) {
  test(`a server that ${how} is tried once more`, async () => {
    const server = await startMailServer({ security: "none", password: null, replies: [reply] });
    const scene = await openOffice({ MAIL_URL: `smtp+plain://127.0.0.1:${server.port}` });
    await ask(scene);
    assert.deepEqual((await server.next()).to, [EMAIL]);
    await scene.close();
  });
}

test("a server that refuses for good is not", async () => {
  const server = await startMailServer({ security: "none", password: null, replies: ["554 never"] });
  const scene = await openOffice({ MAIL_URL: `smtp+plain://127.0.0.1:${server.port}` });
  await ask(scene);
  await logged(scene, /not sent: DATA 554/);
  assert.deepEqual(server.unread, []);
  await scene.close();
});

test("a server that is not there, or says nothing of the form, is logged", async () => {
  const odd = createTcpServer((socket) => {
    socket.on("error", () => {});
    socket.end("SSH-2.0-x\r\n");
  });
  await new Promise((ready) => odd.listen(0, "127.0.0.1", ready));
  closing.push(() => odd.close());
  for (const [port, expected] of [
    [odd.address().port, /not sent: greeting 0/],
    [1, /not sent: connection 0/],
  ]) {
    const scene = await openOffice({ MAIL_URL: `smtp+plain://127.0.0.1:${port}` });
    assert.equal((await ask(scene)).status, 200);
    await logged(scene, expected);
    await scene.close();
  }
});

test("a mail API gets the mail and its token; its failures are tried again or logged", async () => {
  const posts = [];
  const statuses = [200, 503, 202, 401];
  const api = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk) => (body += chunk));
    request.on("end", () => {
      posts.push({ headers: request.headers, body: JSON.parse(body) });
      response.writeHead(statuses.shift() ?? 200).end("{}");
    });
  });
  await new Promise((ready) => api.listen(0, "127.0.0.1", ready));
  closing.push(() => api.close());
  const scene = await openOffice({
    MAIL_URL: `http://127.0.0.1:${api.address().port}/emails`,
    MAIL_PASSWORD: "api-token-of-this-suite",
  });
  scene.conceal("api-token-of-this-suite");
  const posted = async (count) => {
    for (const start = Date.now(); posts.length < count && Date.now() - start < 10_000;)
      await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(posts.length, count);
  };
  await ask(scene);
  await posted(1);
  const [{ headers, body }] = posts;
  assert.equal(headers.authorization, "Bearer api-token-of-this-suite");
  assert.deepEqual([body.from, body.to, body.subject], ["edge@example.com", [EMAIL], "Set a new password"]);
  assert.ok(codeIn(body.text));
  await ask(scene);
  await posted(3);
  assert.equal(codeIn(posts[1].body.text), codeIn(posts[2].body.text), "the same mail again after a 503");
  await ask(scene);
  await posted(4);
  await logged(scene, /not sent: API 401/);
  await scene.close();
});

test("log: writes the mail to the log, for development", async () => {
  const scene = await openOffice({ MAIL_URL: "log:" });
  await ask(scene);
  assert.ok(codeIn((await logged(scene, /set a new password/)).replaceAll("\\n", "\n")));
  await scene.close();
});

test("without a mailer there is no reset", async () => {
  const scene = await openOffice({ MAIL_URL: undefined, MAIL_FROM: undefined });
  assert.equal((await ask(scene)).json.error.code, "not_found");
  await scene.close();
});
