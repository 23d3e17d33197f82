// Debian's Chromium, and pages that must not complain.
import assert from "node:assert/strict";

import { launchChromium } from "../chromium.mjs";

/** How long a page may take for anything: for failing, never for ordering. */
const LIMIT_MS = 15_000;

/** What Chromium itself says of an answer that a test asked for. */
const EXPECTED =
  /^Failed to load resource: (the server responded with a status of (40[01349]|429|5\d\d) |net::ERR_INTERNET_DISCONNECTED)/;

/** A browser of its own for one suite. */
export async function openBrowser() {
  const { browser, close } = await launchChromium();
  return {
    /**
     * A page at this address, as a visitor who was never here sees it. `options`: Playwright's, of a context.
     * `page.complaints` fills with all that a page must not do; `close` asserts that it is empty.
     */
    async open(url, options = {}) {
      const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options });
      const page = await context.newPage();
      page.setDefaultTimeout(LIMIT_MS);
      page.complaints = [];
      page.on("pageerror", (error) => page.complaints.push(error.stack));
      page.on("console", (message) => {
        if (["error", "warning"].includes(message.type()) && !EXPECTED.test(message.text()))
          page.complaints.push(message.text());
      });
      page.on("request", (request) => {
        if (!request.url().startsWith(url) && !/^(data|blob):/.test(request.url()))
          page.complaints.push(`a request to ${request.url()}`);
      });
      await page.goto(url);
      return page;
    },

    /** Ends the visit. */
    async leave(page) {
      await page.context().close();
      assert.deepEqual(page.complaints, []);
    },

    close,
  };
}
