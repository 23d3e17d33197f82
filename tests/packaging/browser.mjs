// Real Chromium, for the tests of the package.
import { launchChromium } from "../chromium.mjs";

/** A browser of the test's own; gone with it. */
export async function openBrowser(t) {
  const { browser, close } = await launchChromium();
  t.after(close);
  return browser;
}
