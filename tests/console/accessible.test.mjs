// Every view of the console under axe-core: WCAG 2.2 A and AA, and its best practices; by keyboard alone; at rest.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";

import { openScene } from "../e2e/scene.mjs";
import { event } from "../e2e/upstream.mjs";
import { begin, finish } from "./backend.mjs";
import { openBrowser } from "./browser.mjs";
import { answer, says, signIn, visit } from "./visitor.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const PHONE = { viewport: { width: 360, height: 780 }, isMobile: true, hasTouch: true };
const VIEWS = {
  "light, wide": {},
  "dark, wide": { colorScheme: "dark" },
  "light, on a phone": PHONE,
  "dark, on a phone": { ...PHONE, colorScheme: "dark" },
};
const WORDS = `A **bold** word, a [link](https://example.com) and \`code\`.

> A quote.

| a | b |
|---|---|
| 1 | 2 |

\`\`\`python
# A comment
def search(items: list[int]) -> "str":
    return f"{len(items)}" if items else None
\`\`\`

- [x] done`;

let scene, browser;
before(async () => {
  scene = await openScene({ console: true, settings: { RATE_LIMIT_RPM: "600", RATE_LIMIT_TPM: "200000" } });
  browser = await openBrowser();
});
after(async () => {
  await browser?.close();
  await scene?.close();
});

/** Asserts that axe finds nothing to say about what is on the page now; gives how many rules it could apply. */
async function isAccessible(page, view) {
  await page.evaluate(() =>
    Promise.all(
      document
        .getAnimations()
        .filter((one) => one.effect.getTiming().iterations === 1)
        .map(({ finished }) => finished),
    ),
  );
  const { violations, passes } = await page.evaluate(async () => {
    const { violations, passes } = await globalThis.axe.run(document, {
      runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
      rules: { "target-size": { enabled: true } },
    });
    return {
      passes: passes.length,
      violations: violations.map(({ id, nodes }) => [
        id,
        nodes.map(({ html, failureSummary }) => `${html.slice(0, 200)} ${failureSummary}`),
      ]),
    };
  });
  assert.deepEqual(violations, [], view);
  assert.ok(passes > 10, `${view}: ${passes} rules`);
}

for (const [name, options] of Object.entries(VIEWS)) {
  test(`${name}: axe finds nothing in any view`, async () => {
    const page = await browser.open(scene.url, options);
    await page.getByRole("dialog").waitFor();
    await page.evaluate(AXE);
    await isAccessible(page, "signing in");
    await page.getByRole("button", { name: "Create an account" }).click();
    await isAccessible(page, "registering");
    await page.getByRole("button", { name: "Back to signing in" }).click();
    await signIn(page, scene.settings);
    await isAccessible(page, "an empty conversation");

    const exchange = await begin(page, scene, "Show me everything");
    await exchange.send(event({ reasoning_content: "Let me think." }));
    await exchange.send(event({ content: WORDS }));
    await says(answer(page, ".prose"), /done/);
    await answer(page, ".prose .hljs-keyword").first().waitFor();
    await isAccessible(page, "in mid-answer");
    await exchange.send(
      event({
        tool_calls: [{ index: 0, id: "1", type: "function", function: { name: "weather", arguments: "{}" } }],
      }),
    );
    await finish(exchange, "tool_calls");
    await answer(page, ".numbers summary").click();
    await answer(page, ".reasoning summary").click();
    await page.getByLabel("Result of weather").waitFor();
    await isAccessible(page, "an answer with all that it can have");
    await page.getByLabel("Your message").press("ArrowUp");
    await isAccessible(page, "editing a question");
    await page.keyboard.press("Escape");

    if (options.isMobile) {
      await page.getByRole("button", { name: "Conversations", exact: true }).click();
      await isAccessible(page, "the sidebar");
      await page.keyboard.press("Escape");
    }
    await visit(page, "Models and capabilities");
    await page.locator(".speed").waitFor();
    await isAccessible(page, "the matrix");
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "System prompt and parameters" }).click();
    await page.getByLabel("Tools", { exact: false }).last().fill("[");
    await isAccessible(page, "the settings");
    await page.keyboard.press("Escape");
    await visit(page, "API tokens");
    await page.getByLabel("Name").fill(`script, ${name}`);
    await page.getByRole("button", { name: "Make a token" }).click();
    await page.locator(".made output").waitFor();
    scene.conceal(await page.locator(".made output").innerText());
    await isAccessible(page, "a token");
    await page.keyboard.press("Escape");
    await visit(page, /^Account/);
    await isAccessible(page, "the account");
    await page.keyboard.press("Escape");

    await page.getByLabel("Your message").fill("And fail");
    await page.keyboard.press("Enter");
    (await scene.upstream.next()).reply({ error: { message: "no" } }, 500);
    await answer(page, ".failure").waitFor();
    await isAccessible(page, "a failure");
    await browser.leave(page);
  });
}

test("by keyboard alone: from the first field to an answer and its code", async () => {
  const page = await browser.open(scene.url);
  await page.getByRole("dialog").waitFor();
  await page.keyboard.type(scene.settings.ADMIN_EMAIL);
  await page.keyboard.press("Tab");
  await page.keyboard.type(scene.settings.ADMIN_PASSWORD);
  await page.keyboard.press("Enter");
  await page.locator("#model:enabled").waitFor();
  await page.keyboard.type("Hello");
  await page.keyboard.press("Enter");
  const exchange = await scene.upstream.next();
  exchange.sendHead();
  await exchange.send(event({ content: "Hi." }));
  await finish(exchange);
  await answer(page, "footer").getByRole("button", { name: "Answer again" }).waitFor();
  // The way back from the draft: the answer's buttons, its numbers, the question's pencil.
  const names = [];
  for (let press = 0; press < 6; press += 1) {
    await page.keyboard.press("Shift+Tab");
    names.push(await page.evaluate(() => document.activeElement.textContent.trim().replace(/\s+/g, " ")));
  }
  assert.ok(names.includes("Answer again") && names.includes("Edit and send again"), names.join(" | "));
  await page.keyboard.press("Control+Shift+KeyO");
  await page.getByRole("heading", { name: "What shall we work on?" }).waitFor();
  await browser.leave(page);
});

test("who asks for less motion gets none", async () => {
  const page = await browser.open(scene.url, { reducedMotion: "reduce" });
  await signIn(page, scene.settings);
  const exchange = await begin(page, scene, "Slowly");
  await exchange.send(event({ content: "One" }));
  await says(answer(page, ".prose"), /One/);
  assert.deepEqual(await page.evaluate(() => document.getAnimations().length), 0);
  await finish(exchange);
  await page.locator('.answer[aria-busy="false"]').waitFor();
  await browser.leave(page);
});
