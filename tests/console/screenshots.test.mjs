// How the console looks in mid-answer: nothing may stick out at any width. `UPDATE_SCREENSHOTS=1` keeps the pictures.
import assert from "node:assert/strict";
import { mkdirSync, statSync } from "node:fs";
import { after, before, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import { openScene } from "../e2e/scene.mjs";
import { deadPort, DONE, event, startUpstream } from "../e2e/upstream.mjs";
import { openBrowser } from "./browser.mjs";
import { answer, ask, says, signIn, visit } from "./visitor.mjs";

const FOLDER = fileURLToPath(new URL("../../docs/screenshots/", import.meta.url));
const LIMIT_BYTES = 200_000;
const MODEL = "Qwen/Qwen2.5-32B-Instruct";
/** Between two words: about what a model of that size does, for the pace in the picture. */
const WORD_MS = 15;

const QUESTION = "Show a binary search in Python, and what people get wrong.";
const WORDS = `Binary search halves a **sorted** list again and again, so a million items take about twenty steps.

\`\`\`python
def search(items, wanted):
    """The index of \`wanted\` in sorted \`items\`, or None."""
    low, high = 0, len(items)
    while low < high:
        middle = (low + high) // 2
        if items[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    return low if items[low:low + 1] == [wanted] else None
\`\`\`

Three things people get wrong:

1. **The bounds.** Keep \`high\` one past the end, and the loop needs no special case.
2. **Overflow.** Not in Python; in C, write \`low + (high - low) / 2\`, or the`;

/** What was talked about before. */
const EARLIER = [
  "Explain Raft to a new colleague",
  "Draft the release notes",
  "Why is my query slow?",
  "Ideas for Mia's birthday",
];

const PHONE = { viewport: { width: 360, height: 780 }, isMobile: true, hasTouch: true };
const VIEWS = {
  "console-360": PHONE,
  "console-768": { viewport: { width: 768, height: 1024 } },
  "console-1440": { viewport: { width: 1440, height: 900 } },
  "console-1440-dark": { viewport: { width: 1440, height: 900 }, colorScheme: "dark" },
};

let scene, browser, gpu, desk;
before(async () => {
  gpu = await startUpstream({ kind: "vllm", models: [MODEL] });
  desk = await startUpstream({ kind: "ollama", models: ["llama3.2-vision", "nomic-embed-text"] });
  const lab = `http://127.0.0.1:${await deadPort()}`;
  const able = { chat: true, completions: true, streaming: true, tool_calling: true };
  const embeds = { chat: false, completions: false, embeddings: true, streaming: false, tool_calling: false };
  scene = await openScene({
    console: true,
    settings: { RATE_LIMIT_RPM: "600", RATE_LIMIT_TPM: "200000" },
    backends: [
      { id: "gpu-a", provider: "vllm", url: gpu.url, models: { [MODEL]: { capabilities: able } } },
      {
        id: "desk",
        provider: "ollama",
        url: desk.url,
        models: {
          "llama3.2-vision": { capabilities: { ...able, vision: true } },
          "nomic-embed-text": { capabilities: embeds },
        },
      },
      { id: "lab", provider: "llamacpp", url: lab },
    ],
  });
  browser = await openBrowser();
});
after(async () => {
  await browser?.close();
  await scene?.close();
  await gpu?.close();
  await desk?.close();
});

async function picture(page, name) {
  if (process.env.UPDATE_SCREENSHOTS !== "1") return;
  mkdirSync(FOLDER, { recursive: true });
  const path = `${FOLDER}${name}.png`;
  await page.mouse.move(0, 0);
  await page.screenshot({ path, animations: "disabled" });
  assert.ok(statSync(path).size < LIMIT_BYTES, `${path} has ${statSync(path).size} bytes`);
}

/** Elements that reach beyond the page; those inside something that scrolls by itself may. */
function strays(page) {
  return page.evaluate(() =>
    Array.from(document.querySelectorAll("body *"))
      .filter(
        (node) =>
          !node.closest(".unseen, .sprite, pre, .wide") && node.checkVisibility({ visibilityProperty: true }),
      )
      .filter((node) => {
        const { left, right, width } = node.getBoundingClientRect();
        return width > 1 && (left < -0.5 || right > innerWidth + 0.5);
      })
      .map((node) => node.outerHTML.slice(0, 80)),
  );
}

/** The sidebar has slid away, the colours have come. */
async function settled(page) {
  await pause(250);
  await page.evaluate(() => Promise.all(document.getAnimations().map(({ finished }) => finished)));
}

/** The token in the picture is none: its letters are struck out before the picture is taken. */
async function pictureOfToken(page) {
  const secret = await page.locator(".made output").innerText();
  await page.evaluate((secret) => {
    const walker = document.createTreeWalker(document.querySelector(".made"), NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode())
      node.data = node.data.replaceAll(
        secret,
        "cmnd_Q0ZpeEVk-V2hhdCBh.sk_IG5pY2Ugc3VycHJpc2UgdG8gZmluZCB0aGlz",
      );
  }, secret);
  await picture(page, "token-1440");
}

for (const [name, options] of Object.entries(VIEWS)) {
  const { width } = options.viewport;
  test(`${options.colorScheme ?? "light"}, ${width} px wide: every view fits`, async () => {
    const page = await browser.open(scene.url, options);
    assert.deepEqual(await strays(page), [], "signing in");
    await signIn(page, scene.settings);
    assert.deepEqual(await strays(page), [], "an empty conversation");
    await page.getByLabel("Model", { exact: true }).selectOption(MODEL);

    for (const question of EARLIER) {
      await ask(page, question);
      const exchange = await gpu.next();
      exchange.sendHead();
      for (const word of ["Well", ", ", "here", " ", "you", " ", "are", "."]) {
        await exchange.send(event({ content: word }));
        await pause(WORD_MS * Math.random() * 2);
      }
      await exchange.send(event({}, "stop"));
      exchange.end(DONE);
      await answer(page, "footer").getByRole("button", { name: "Answer again" }).waitFor();
      await page.keyboard.press("Control+Shift+KeyO");
    }

    await visit(page, "Models and capabilities");
    await page.getByRole("table").waitFor();
    await settled(page);
    assert.deepEqual(await strays(page), [], "the matrix");
    if (name === "console-1440") await picture(page, "capabilities-1440");
    await page.keyboard.press("Escape");

    await page.getByRole("button", { name: "System prompt and parameters" }).click();
    assert.deepEqual(await strays(page), [], "the settings");
    await page.keyboard.press("Escape");

    await visit(page, "API tokens");
    await page.getByLabel("Name").fill(name === "console-1440" ? "build server" : name);
    await page.getByRole("button", { name: "Make a token" }).click();
    await page.locator(".made output").waitFor();
    await settled(page);
    assert.deepEqual(await strays(page), [], "a token");
    if (name === "console-1440") await pictureOfToken(page);
    await page.keyboard.press("Escape");

    await visit(page, /^Account/);
    assert.deepEqual(await strays(page), [], "the account");
    await page.keyboard.press("Escape");

    await ask(page, QUESTION);
    const exchange = await gpu.next();
    exchange.sendHead();
    for (const word of WORDS.match(/\s*\S+/g)) {
      await exchange.send(event({ content: word }));
      await pause(WORD_MS);
    }
    await says(answer(page, ".prose"), /or the$/);
    await says(page.locator("#pace"), /tokens\/s · \d+ tokens/);
    assert.deepEqual(await strays(page), [], "in mid-answer");
    await picture(page, name);
    exchange.end(DONE);
    await page.locator('.answer[aria-busy="false"]').waitFor();
    await browser.leave(page);
  });
}
