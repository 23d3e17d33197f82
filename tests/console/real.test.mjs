// Once through the console as a user has it: `make run`, the real model, a real browser.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { startProduct } from "../e2e/real/product.mjs";
import { openBrowser } from "./browser.mjs";
import { answer, ask, says, signIn } from "./visitor.mjs";

let dataDir, product, browser;
before(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "product-"));
  product = await startProduct(dataDir);
  browser = await openBrowser();
});
after(async () => {
  await browser?.close();
  await product?.interrupt();
  await rm(dataDir, { recursive: true, force: true });
});

test("the real model answers on the page, word by word, and can be stopped", async () => {
  const page = await browser.open(product.url);
  await signIn(page, { ADMIN_EMAIL: product.user, ADMIN_PASSWORD: product.password });

  await ask(page, "What is the capital of France?");
  await page.locator('.answer[aria-busy="false"]').waitFor({ timeout: 120_000 });
  await says(answer(page, ".prose"), /Paris/);
  await says(answer(page, ".pace"), /^\d+\.\d\d s to first token · .*\d+ tokens$/);

  await ask(page, "Tell a very long story about a lighthouse.");
  await says(answer(page, ".prose"), /\w/);
  const early = (await answer(page, ".prose").innerText()).length;
  await says(answer(page, ".prose"), new RegExp(`^[^]{${early + 20},}$`));
  await page.keyboard.press("Escape");
  await says(answer(page, ".ending"), /^Stopped$/);
  const stopped = await answer(page, ".prose").innerText();
  assert.ok(stopped.length > early);
  await browser.leave(page);
});
