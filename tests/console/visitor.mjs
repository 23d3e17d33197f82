// What a visitor does on the page and sees there, by the names that are on it.
import assert from "node:assert/strict";

import { eventually } from "../e2e/within.mjs";

/** How long the page may take to show something: for failing, never for ordering. */
const LIMIT_MS = 15_000;

/** Fills in the sign-in form and sends it. */
export async function enter(page, email, password) {
  await page.getByLabel("E-mail").fill(email);
  await page.getByLabel("Password", { exact: true }).fill(password);
  await page.keyboard.press("Enter");
}

/** Signs in with what these settings made the first administrator, and waits for the models. */
export async function signIn(page, { ADMIN_EMAIL, ADMIN_PASSWORD }) {
  await enter(page, ADMIN_EMAIL, ADMIN_PASSWORD);
  await page.locator("#model:enabled").waitFor();
}

/** Writes a message and sends it. */
export async function ask(page, text) {
  await page.getByLabel("Your message").fill(text);
  await page.keyboard.press("Enter");
}

/** Opens one of the dialogs of the sidebar, which on a small screen is unfolded first. */
export async function visit(page, name) {
  const opener = page.getByRole("button", { name: "Conversations", exact: true });
  if (await opener.isVisible()) await opener.click();
  await page.getByRole("button", { name }).click();
}

/** A part of the last answer. */
export function answer(page, part) {
  return page.locator(".answer").last().locator(part);
}

/** Waits until the element's words match; fails with the words it has instead. */
export async function says(locator, pattern) {
  let text = "nothing";
  const matches = async () => pattern.test((text = await locator.innerText()));
  await eventually(LIMIT_MS, matches, String(pattern)).catch(() => assert.match(text, pattern));
}
