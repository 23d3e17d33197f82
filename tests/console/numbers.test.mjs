// The numbers on the page, and the page's own: what a visit costs, and what a stream does to it.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";

import { openScene } from "../e2e/scene.mjs";
import { event } from "../e2e/upstream.mjs";
import { begin, chat, finish } from "./backend.mjs";
import { openBrowser } from "./browser.mjs";
import { answer, enter, says, signIn, visit } from "./visitor.mjs";

/** What a first visit may transfer, compressed, the client package included; as www/build.mjs has it. */
const BUDGET_BYTES = 150_000;
const TOKENS_A_SECOND = 200;
/** `STREAM_SECS=5` for a quick look. */
const STREAM_SECS = Number(process.env.STREAM_SECS ?? 60);

let scene, browser;
before(async () => {
  scene = await openScene({ console: true, settings: { RATE_LIMIT_RPM: "50", RATE_LIMIT_TPM: "100000" } });
  browser = await openBrowser();
});
after(async () => {
  await browser?.close();
  await scene?.close();
});

test("each answer says how fast it was, where the time went, and what is left of the limits", async () => {
  const page = await browser.open(scene.url);
  await signIn(page, scene.settings);
  const exchange = await begin(page, scene, "Count.");
  for (let number = 0; number < 40; number += 1) {
    await exchange.send(event({ content: ` ${number}` }));
    await pause(25);
  }
  await says(page.locator("#pace"), /s to first token · \d+ tokens\/s · \d+ tokens$/);
  assert.match(await page.locator("#pace polyline").getAttribute("points"), /^(\d+\.\d,\d+\.\d ?){2,}$/);
  await exchange.send(
    `data: {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":41,"total_tokens":50}}\n\n`,
  );
  await finish(exchange);
  await says(answer(page, ".pace"), /· 41 tokens$/);
  await page.locator("#pace").waitFor({ state: "hidden" });

  await answer(page, ".numbers summary").click();
  await says(answer(page, ".used"), /^9 tokens read, 41 written, 50 in all\.$/);
  assert.deepEqual(await answer(page, ".waterfall th").allInnerTexts(), [
    "Check the session",
    "Ask for the limits",
    "Choose a backend",
    "Backend's first byte",
    "Network and first token",
    "Writing",
  ]);
  const numbers = await answer(page, ".waterfall .number").allInnerTexts();
  assert.ok(
    numbers.every((text) => /^\d+ ms$/.test(text)),
    numbers.join(),
  );
  const [requests, tokens] = await page
    .getByRole("meter")
    .evaluateAll((meters) =>
      meters.map((meter) => [meter.value, meter.max, meter.getAttribute("aria-label")]),
    );
  assert.ok(requests[0] < 50 && requests[0] > 30, `${requests[0]} requests left`);
  assert.match(requests[2], /^\d+ of 50 requests left this minute$/);
  assert.equal(tokens[1], 100_000);
  await browser.leave(page);
});

test("a plot for each model shows how fast it was here, also after a reload", async () => {
  const page = await browser.open(scene.url);
  await signIn(page, scene.settings);
  for (const words of ["One.", "Two.", "Three."]) await chat(page, scene, "Again", words);
  await page.reload();
  await signIn(page, scene.settings);
  await visit(page, "Models and capabilities");
  await says(page.locator(".speed"), /3 answers/);
  assert.equal((await page.locator(".speed circle").count()) % 3, 0);
  await says(page.locator(".speed figcaption").last(), /^\d+\.\d\d s to first token, median$/);
  await browser.leave(page);
});

test("a backend that goes down is seen in the matrix, and its models come back by themselves", async () => {
  const page = await browser.open(scene.url);
  await signIn(page, scene.settings);
  await visit(page, "Models and capabilities");
  await says(page.locator(".backend"), /up\s*answers in \d+ ms/);
  scene.upstream.discovery = "refuse";
  try {
    const status = page.locator(".backend .status");
    const start = Date.now();
    while ((await status.innerText()) === "up" && Date.now() - start < 40_000) await pause(500);
    assert.match(await status.innerText(), /^(degraded|down)$/);
    await page.reload();
    await page.getByRole("dialog").waitFor();
    await enter(page, scene.settings.ADMIN_EMAIL, scene.settings.ADMIN_PASSWORD);
    await says(page.locator("#notice"), /^No model is up at the moment\./);
  } finally {
    scene.upstream.discovery = "answer";
  }
  await page.locator("#model:enabled").waitFor({ timeout: 40_000 });
  await page.locator("#notice").waitFor({ state: "hidden" });
  await browser.leave(page);
});

test("a first visit: what it transfers, when it shows something, when it can be used", async (t) => {
  const page = await browser.open(scene.url);
  await page.getByRole("dialog").waitFor();
  const shown = await page.evaluate(() => {
    const [navigation] = performance.getEntriesByType("navigation");
    return {
      firstPaintMs: performance.getEntriesByName("first-contentful-paint")[0]?.startTime,
      interactiveMs: navigation.domInteractive,
      loadedMs: navigation.loadEventEnd,
    };
  });
  await signIn(page, scene.settings);
  const resources = await page.evaluate(() =>
    [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
      .filter(({ name }) => !name.includes("/v1/"))
      .map(({ name, encodedBodySize, decodedBodySize }) => ({ name, encodedBodySize, decodedBodySize })),
  );
  assert.ok(resources.length >= 4, JSON.stringify(resources));
  const sum = (what) => resources.reduce((total, resource) => total + resource[what], 0);
  assert.ok(sum("encodedBodySize") <= BUDGET_BYTES, `${sum("encodedBodySize")} bytes`);
  t.diagnostic(
    `first contentful paint ${Math.round(shown.firstPaintMs)} ms, interactive ${Math.round(shown.interactiveMs)} ms, ` +
      `loaded ${Math.round(shown.loadedMs)} ms; transferred ${sum("encodedBodySize")} B, which are ${sum("decodedBodySize")} B`,
  );
  await browser.leave(page);
});

test(`a stream of ${TOKENS_A_SECOND} tokens a second moves nothing on the page, and its frames stay small`, async (t) => {
  const page = await browser.open(scene.url);
  await signIn(page, scene.settings);
  const exchange = await begin(page, scene, "Write for a while.");
  await exchange.send(event({ content: "So" }));
  await says(answer(page, ".prose"), /So/);
  // A person's doing excuses a shift for half a second: from here on nobody does anything.
  await pause(600);
  await page.evaluate(() => {
    const seen = (globalThis.seen = { shifts: [], frames: [], touched: [] });
    new PerformanceObserver((list) => {
      for (const { value, hadRecentInput, sources } of list.getEntries())
        if (!hadRecentInput)
          seen.shifts.push([value, ...sources.map(({ node }) => node?.outerHTML?.slice(0, 80))]);
    }).observe({ type: "layout-shift" });
    let last = performance.now();
    const frame = (now) => {
      seen.frames.push(now - last);
      last = now;
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
    new MutationObserver((records) => {
      const nodes = records.flatMap(({ addedNodes }) => [...addedNodes]);
      seen.touched.push(nodes.reduce((sum, node) => sum + 1 + (node.querySelectorAll?.("*").length ?? 0), 0));
    }).observe(document.querySelector(".prose"), { childList: true, subtree: true, characterData: true });
  });

  const start = performance.now();
  let sent = 0;
  while (performance.now() - start < STREAM_SECS * 1000) {
    const due = Math.floor(((performance.now() - start) / 1000) * TOKENS_A_SECOND);
    let words = "";
    for (; sent < due; sent += 1) words += event({ content: wordAt(sent) });
    if (words) await exchange.send(words);
    await pause(5);
  }
  await finish(exchange);
  await page.locator('.answer[aria-busy="false"]').waitFor();
  const { shifts, frames, touched } = await page.evaluate(() => globalThis.seen);
  assert.deepEqual(shifts, [], "layout shifts");
  assert.ok(touched.length > STREAM_SECS, `${touched.length} changes seen`);
  // What a frame makes anew is the last block, however long the answer has become.
  assert.ok(Math.max(...touched) < 400, `${Math.max(...touched)} nodes in one frame`);
  const sorted = frames.toSorted((a, b) => a - b);
  t.diagnostic(
    `${sent} tokens in ${STREAM_SECS} s: ${frames.length} frames, median ${sorted[frames.length >> 1].toFixed(1)} ms, ` +
      `longest ${sorted.at(-1).toFixed(1)} ms, ${frames.filter((ms) => ms > 100).length} over 100 ms`,
  );
  await browser.leave(page);
});

/** Prose with lists and code in it, for ever. */
function wordAt(index) {
  const at = index % 160;
  if (at === 0) return "\n\n## A heading\n\n";
  if (at === 40) return "\n\n- an item";
  if (at > 40 && at < 80) return at % 8 === 0 ? "\n- an item" : " of words";
  if (at === 80) return "\n\n```python\n";
  if (at > 80 && at < 130) return at % 6 === 0 ? "value = 1\n" : "x + ";
  if (at === 130) return "\n```\n\n";
  return at % 12 === 0 ? " end.\n\nA" : " word";
}
