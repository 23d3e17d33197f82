// Once through the console as a user has it: `make run`, the real model, a real browser.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";

import { startProduct } from "../e2e/real/product.mjs";
import { openBrowser } from "./browser.mjs";
import { answer, ask, says, signIn, visit } from "./visitor.mjs";

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

test("the README's tour: sign in, chat, a picture refused with the reason, a token, its snippet in a shell", async () => {
  const page = await browser.open(product.url);
  await signIn(page, { ADMIN_EMAIL: product.user, ADMIN_PASSWORD: product.password });

  await page.getByRole("button", { name: "Write a haiku about AI" }).click();
  await page.keyboard.press("Enter");
  await page.locator('.answer[aria-busy="false"]').waitFor({ timeout: 120_000 });
  await says(answer(page, ".prose"), /\w/);
  await answer(page, ".numbers summary").click();
  await says(answer(page, ".waterfall"), /Backend's first byte[^]*Writing/);

  await page.getByRole("button", { name: "Add pictures" }).click({ force: true });
  await says(page.locator("#attach-reason"), /^smollm2-135m-instruct cannot look at pictures\./);

  await visit(page, "API tokens");
  await page.getByLabel("Name").fill("my first script");
  await page.getByRole("button", { name: "Make a token" }).click();
  const snippet = await page.getByRole("tabpanel", { name: "curl" }).locator("pre").innerText();
  const { stdout } = await promisify(execFile)("bash", ["-c", snippet]);
  assert.match(JSON.parse(stdout).choices[0].message.content, /\w/);
  await browser.leave(page);
});
