// The console in a real browser, on the real edge, with a backend that the test holds by the hand.
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";

import { startEdge } from "../../scripts/edge.mjs";
import { openScene } from "../e2e/scene.mjs";
import { event } from "../e2e/upstream.mjs";
import { within } from "../e2e/within.mjs";
import * as backend from "./backend.mjs";
import { openBrowser } from "./browser.mjs";
import { answer, ask, enter, says, signIn } from "./visitor.mjs";

let scene, browser, page;
before(async () => {
  scene = await openScene({ console: true });
  browser = await openBrowser();
});
after(async () => {
  await browser?.close();
  await scene?.close();
});
beforeEach(async () => (page = await browser.open(scene.url)));
afterEach(() => browser.leave(page));

/** Asserts that the edge lets go of the backend, which keeps on sending as a model would. */
async function leaves(exchange) {
  const sending = setInterval(() => void exchange.send(event({ content: " more" })), 50);
  await within(5_000, exchange.closed, "the backend's connection closes").finally(() =>
    clearInterval(sending),
  );
}

const begin = (text) => backend.begin(page, scene, text);
const chat = (question, words) => backend.chat(page, scene, question, words);

describe("signing in", () => {
  test("a wrong password is answered by a sentence, and the next try may be right", async () => {
    await enter(page, scene.settings.ADMIN_EMAIL, "not the password at all");
    await says(page.locator("#signin-problem"), /^That e-mail address and password do not go together\.$/);
    await signIn(page, scene.settings);
    assert.equal(await page.getByRole("dialog").count(), 0);
  });

  test("an empty field is named before anything is sent", async () => {
    const sent = [];
    page.on("request", (request) => sent.push(request.url()));
    await page.getByLabel("E-mail").fill(" ");
    await page.keyboard.press("Enter");
    await says(page.locator("#signin-problem"), /Which e-mail address/);
    await page.getByLabel("E-mail").fill("ada@example.com");
    await page.keyboard.press("Enter");
    await says(page.locator("#signin-problem"), /password is missing/);
    assert.deepEqual(
      sent.filter((url) => url.includes("/v1/")),
      [],
    );
  });

  test("Esc does not lead past it", async () => {
    await page.getByRole("dialog").waitFor();
    for (let press = 0; press < 3; press += 1) await page.keyboard.press("Escape");
    assert.ok(await page.getByRole("dialog").isVisible());
  });

  test("a reload asks again, remembers the model, and finds no token anywhere it could be kept", async () => {
    await signIn(page, scene.settings);
    const model = page.getByLabel("Model", { exact: true });
    const names = await model.locator("option").allTextContents();
    assert.deepEqual(names.toSorted(), ["Qwen/Qwen2.5-32B-Instruct", "seeing-model", "text-model"]);
    await model.selectOption("text-model");

    const kept = await page.evaluate(() =>
      JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]),
    );
    assert.equal(kept, `[{"comind.model":"text-model"},{},""]`);
    assert.deepEqual(await page.context().cookies(), []);

    await page.reload();
    await page.getByRole("dialog").waitFor();
    await signIn(page, scene.settings);
    assert.equal(await model.inputValue(), "text-model");
  });
});

describe("chatting", () => {
  beforeEach(() => signIn(page, scene.settings));

  test("words show while the answer is unfinished, and its pace when it ends", async () => {
    const exchange = await begin("What is the capital of France?");
    await exchange.send(event({ content: "The capital of **Fra" }));
    await says(answer(page, ".prose"), /^The capital of \*\*Fra$/);
    assert.equal(await answer(page, ".prose strong").count(), 0);

    await exchange.send(event({ content: "nce** is Paris." }));
    await says(answer(page, ".prose"), /^The capital of France is Paris\.$/);
    assert.equal(await answer(page, ".prose strong").innerText(), "France");
    assert.equal(await page.locator(".answer").getAttribute("aria-busy"), "true");

    await backend.finish(exchange);
    await page.locator('.answer[aria-busy="false"]').waitFor();
    await says(answer(page, ".pace"), /^\d+\.\d\d s to first token · 2 tokens$/);
    await says(page.locator("#announcer"), /^The capital of France is Paris\.$/);
    assert.deepEqual(exchange.json.messages, [{ role: "user", content: "What is the capital of France?" }]);
    assert.equal(exchange.json.stream, true);
  });

  test("the stop button keeps what came and closes the backend's connection", async () => {
    const exchange = await begin("Count to a thousand.");
    await exchange.send(event({ content: "One, two, three" }));
    await says(answer(page, ".prose"), /three/);
    await page.getByRole("button", { name: "Stop" }).click();
    await leaves(exchange);
    await says(answer(page, ".ending"), /^Stopped$/);
    assert.equal(await answer(page, ".prose").innerText(), "One, two, three");
  });

  test("Esc stops too, and the next question carries the partial answer", async () => {
    const first = await begin("Count to a thousand.");
    await first.send(event({ content: "One, two" }));
    await says(answer(page, ".prose"), /two/);
    await page.keyboard.press("Escape");
    await says(answer(page, ".ending"), /^Stopped$/);
    await leaves(first);

    const second = await chat("Go on.", "Three, four");
    assert.deepEqual(second.json.messages, [
      { role: "user", content: "Count to a thousand." },
      { role: "assistant", content: "One, two" },
      { role: "user", content: "Go on." },
    ]);
  });

  test("Shift+Enter starts a line, and a draft can be written while an answer comes", async () => {
    await page.keyboard.type("Two");
    await page.keyboard.press("Shift+Enter");
    await page.keyboard.type("lines");
    await page.keyboard.press("Enter");
    const exchange = await scene.upstream.next();
    assert.equal(exchange.json.messages[0].content, "Two\nlines");
    exchange.sendHead();
    await exchange.send(event({ content: "Yes." }));
    await says(answer(page, ".prose"), /Yes/);

    await page.keyboard.type("Not yet");
    await page.keyboard.press("Enter");
    assert.equal(await page.getByLabel("Your message").inputValue(), "Not yet");
    await backend.finish(exchange);
    await page.getByRole("button", { name: "Send", exact: true }).waitFor();
    assert.equal(await page.getByLabel("Your message").inputValue(), "Not yet");
  });

  test("a new conversation knows nothing of the old one, also in mid-answer", async () => {
    const first = await begin("Remember this.");
    await first.send(event({ content: "I do" }));
    await says(answer(page, ".prose"), /I do/);
    await page.getByRole("button", { name: "New conversation" }).click();
    await page.getByRole("heading", { name: "What shall we work on?" }).waitFor();
    await leaves(first);

    const second = await chat("Hello", "Hello.");
    assert.deepEqual(second.json.messages, [{ role: "user", content: "Hello" }]);
  });

  test("answering again replaces the last answer and nothing else", async () => {
    await chat("One", "First.");
    await chat("Two", "Second.");
    assert.equal(await page.getByRole("button", { name: "Answer again" }).count(), 1);
    await page.getByRole("button", { name: "Answer again" }).click();
    const exchange = await scene.upstream.next();
    assert.deepEqual(
      exchange.json.messages.map(({ content }) => content),
      ["One", "First.", "Two"],
    );
    exchange.sendHead();
    await exchange.send(event({ content: "Better." }));
    await backend.finish(exchange);
    await says(page.locator(".turns"), /One[^]*First\.[^]*Two[^]*Better\./);
    assert.doesNotMatch(await page.locator(".turns").innerText(), /Second/);
  });

  test("what a model reasons is folded away", async () => {
    const exchange = await begin("Think.");
    await exchange.send(event({ reasoning_content: "Hm, let me see." }));
    await answer(page, ".reasoning summary").click();
    await says(answer(page, ".reasoning p"), /^Hm, let me see\.$/);
    await exchange.send(event({ content: "Done." }));
    await backend.finish(exchange);
    await says(answer(page, ".prose"), /^Done\.$/);
  });

  test("code is copied by its button", async () => {
    await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
    await chat("Code?", "```js\nlet a = 1 < 2;\n```");
    await page.getByRole("button", { name: "Copy the code" }).click();
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), "let a = 1 < 2;");
  });

  test("markup that a model writes is shown, not obeyed, and no picture is fetched", async () => {
    const hostile = [
      `<img src="https://evil.example/a.png" onerror="alert(1)">`,
      `<script>alert(1)</script>`,
      `![x](https://evil.example/b.png) [here](javascript:alert(1)) [there](https://example.com/)`,
      `<iframe src="https://evil.example/"></iframe>`,
    ].join("\n\n");
    await chat("Attack me.", hostile);
    assert.equal(
      await page.locator(".prose :is(img, script, iframe, [onerror], [href^=javascript])").count(),
      0,
    );
    assert.deepEqual(await page.locator(".prose a").evaluateAll((links) => links.map((link) => link.href)), [
      "https://evil.example/b.png",
      "https://example.com/",
    ]);
  });

  test("the reader who scrolls back stays there, and a button leads to the latest words", async () => {
    const exchange = await begin("Write a lot.");
    await exchange.send(event({ content: "A line.\n\n".repeat(80) }));
    const scroll = page.locator("#scroll");
    const distance = () => scroll.evaluate((node) => node.scrollHeight - node.clientHeight - node.scrollTop);
    await says(answer(page, ".prose"), /A line/);
    assert.ok((await distance()) < 2, "the newest words are in sight");

    await scroll.evaluate((node) => node.scrollTo(0, 0));
    await page.getByRole("button", { name: "Go to the latest words" }).waitFor();
    await exchange.send(event({ content: "The end." }));
    await says(answer(page, ".prose"), /The end/);
    assert.equal(await scroll.evaluate((node) => node.scrollTop), 0);
    await page.getByRole("button", { name: "Go to the latest words" }).click();
    assert.ok((await distance()) < 2, "the button leads there");
    await backend.finish(exchange);
  });
});

describe("when something fails", () => {
  beforeEach(() => signIn(page, scene.settings));

  test("a backend's failure is a sentence, and trying again works", async () => {
    await ask(page, "Hello?");
    (await scene.upstream.next()).reply({ error: { message: "CUDA out of memory" } }, 500);
    await says(answer(page, ".failure .sentence"), /^The model's server failed while it answered\.$/);
    await says(answer(page, ".failure .reference"), /^Reference \S+$/);
    await answer(page, ".failure").getByRole("button", { name: "Try again" }).click();
    const exchange = await scene.upstream.next();
    assert.deepEqual(exchange.json.messages, [{ role: "user", content: "Hello?" }]);
    exchange.sendHead();
    await exchange.send(event({ content: "Hello!" }));
    await backend.finish(exchange);
    await says(page.locator(".turns"), /Hello![^]*token/);
    assert.equal(await page.locator(".failure:visible").count(), 0);
  });

  test("a cut answer keeps its words and says that it is not whole", async () => {
    const exchange = await begin("Tell me.");
    await exchange.send(event({ content: "Once upon a" }));
    await says(answer(page, ".prose"), /Once upon a/);
    exchange.drop();
    await says(
      answer(page, ".failure .sentence"),
      /server failed while it answered|before the answer was complete/,
    );
    assert.equal(await answer(page, ".prose").innerText(), "Once upon a");
    await answer(page, ".failure").getByRole("button", { name: "Try again" }).waitFor();
  });

  test("too many requests: the button counts down to the time the server named", async () => {
    await ask(page, "Quick!");
    (await scene.upstream.next()).reply({ error: { message: "slow down" } }, 429, { "retry-after": "2" });
    const button = answer(page, ".failure .plain");
    await says(button, /^Try again in [12] s$/);
    assert.ok(await button.isDisabled());
    await says(button, /^Try again$/);
    assert.ok(await button.isEnabled());
    await button.click();
    const exchange = await scene.upstream.next();
    exchange.sendHead();
    await exchange.send(event({ content: "Now." }));
    await backend.finish(exchange);
    await says(answer(page, ".prose"), /^Now\.$/);
  });

  test("offline: the message waits, and goes out when the connection is back", async () => {
    await page.context().setOffline(true);
    await says(page.locator("#notice"), /You are offline/);
    await ask(page, "Anybody?");
    await says(answer(page, ".failure .sentence"), /^You are offline\./);
    await page.context().setOffline(false);
    await page.locator("#notice").waitFor({ state: "hidden" });
    const exchange = await scene.upstream.next();
    exchange.sendHead();
    await exchange.send(event({ content: "Here." }));
    await backend.finish(exchange);
    await says(answer(page, ".prose"), /^Here\.$/);
  });

  /** A new key and no previous one: every token dies at once. */
  async function endAllSessions() {
    const { port } = scene.edge;
    await scene.stop();
    scene.settings.JWT_SECRET = scene.secret("another-secret-of-this-suite");
    scene.edge = await startEdge({ settings: scene.settings, dataDir: scene.dataDir, port, console: true });
  }

  test("a dead session asks to sign in again, and then the question goes out by itself", async () => {
    await endAllSessions();
    await ask(page, "Are you there?");
    await page.getByRole("dialog").waitFor();
    await says(page.locator("#signin-reason"), /Your session has ended/);
    assert.equal(await page.getByLabel("E-mail").inputValue(), scene.settings.ADMIN_EMAIL);
    assert.equal(await page.getByLabel("Password", { exact: true }).inputValue(), "");
    await signIn(page, scene.settings);
    const exchange = await scene.upstream.next();
    assert.deepEqual(exchange.json.messages, [{ role: "user", content: "Are you there?" }]);
    exchange.sendHead();
    await exchange.send(event({ content: "Still here." }));
    await backend.finish(exchange);
    await says(answer(page, ".prose"), /^Still here\.$/);
  });

  test("a dead session does not cost the draft", async () => {
    await page.getByLabel("Your message").fill("Half a thought");
    await endAllSessions();
    await page.getByRole("button", { name: "Models and capabilities" }).click();
    await says(page.locator("#signin-reason"), /Your session has ended/);
    await signIn(page, scene.settings);
    await page.getByRole("table").waitFor();
    assert.equal(await page.getByLabel("Your message").inputValue(), "Half a thought");
  });
});

test("the matrix shows every backend and what its models can do", async () => {
  await signIn(page, scene.settings);
  await page.getByRole("button", { name: "Models and capabilities" }).click();
  await page.getByRole("table").waitFor();
  const row = page.getByRole("row", { name: /seeing-model/ });
  assert.deepEqual(await page.getByRole("columnheader").allInnerTexts(), [
    "Model",
    "Chat",
    "Complete",
    "Embed",
    "Vision",
    "Tools",
    "Stream",
  ]);
  const cells = await row.getByRole("cell").allInnerTexts();
  assert.deepEqual([cells[0], cells[3], cells[4], cells[5]], ["yes", "yes", "yes", "yes"]);
  assert.match(await page.getByRole("row", { name: /^main/ }).innerText(), /up/);
  await page.keyboard.press("Escape");
  await page.getByRole("table").waitFor({ state: "hidden" });
});

test("the page is served with headers that forbid everything it does not need", async () => {
  const { headers } = await scene.anonymous.get("/");
  const policy = headers.get("content-security-policy");
  assert.match(policy, /^default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self';/);
  assert.doesNotMatch(policy, /unsafe-inline|'unsafe-eval'|https?:|\*/);
  assert.equal(headers.get("x-content-type-options"), "nosniff");
  assert.equal(headers.get("referrer-policy"), "no-referrer");
  assert.ok(headers.get("permissions-policy"));
  assert.equal(await page.locator("[style], style, script:not([src])").count(), 0);
});
