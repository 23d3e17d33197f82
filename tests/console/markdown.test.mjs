// Markdown that grows: however the words are cut, the page ends the same.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";

import { openBrowser } from "./browser.mjs";

const TEXTS = {
  "paragraphs, emphasis and links":
    'One *two* **three** ~~four~~.\n\nFive [six](https://example.com "t") <https://example.com>\nseven  \neight \\* &amp; &#x27; &unknown;',
  "a heading by the line under it": "A title\n=======\n\nAnother\n-------\n\n### Third ###\n\nText",
  "a loose list that goes on after blank lines":
    "- one\n\n- two\n\n  more of two\n\n  1. deep\n  2. deeper\n\n- [x] three\n\nafter",
  "code, fenced and indented, with a fence inside":
    "Before\n\n````md\n```js\nlet a;\n```\n````\n\n    indented\n\n    still\n\n`in ``line`",
  "a table by the line under it": "| a | b |\n|:--|--:|\n| 1 | **2** |\n| 3<br>4 | `|` |\n\nafter",
  "quotes with blocks inside": "> one\n> - two\n>\n> ```\n> three\n> ```\nlazy\n\nafter",
  "a definition that comes last":
    "See [this] and [that][t].\n\nMore.\n\n[this]: https://example.com/1\n[t]: https://example.com/2",
  "CR LF line ends": "# A\r\n\r\n- b\r\n- c\r\n\r\nd\r\n",
  "markup of the model's own": "<div>\n*not* <b>bold</b>\n\n</div>\n\n<!-- c -->\n\na <br> b",
};

let browser, page;
before(async () => {
  const bundle = await build({
    stdin: {
      contents: `export { MarkdownStream } from "./www/src/markdown.js";`,
      resolveDir: fileURLToPath(new URL("../..", import.meta.url)),
    },
    bundle: true,
    write: false,
    format: "iife",
    globalName: "subject",
  });
  browser = await openBrowser();
  page = await browser.open("about:blank");
  await page.addScriptTag({ content: bundle.outputFiles[0].text });
  await page.evaluate(() => {
    /** The page's HTML and the announced blocks after showing these growing texts. */
    globalThis.show = (...texts) => {
      const root = document.createElement("div");
      document.body.replaceChildren(root);
      const blocks = [];
      const stream = new globalThis.subject.MarkdownStream(root, (text) => blocks.push(text));
      for (const text of texts) stream.show(text);
      stream.finish();
      // Colours come when they have been fetched, and change no words.
      for (const span of root.querySelectorAll("pre span")) span.replaceWith(...span.childNodes);
      root.normalize();
      return { html: root.innerHTML, blocks };
    };
  });
});
after(async () => {
  await browser.leave(page);
  await browser.close();
});

for (const [name, text] of Object.entries(TEXTS)) {
  test(`${name}: cut anywhere, and letter by letter, it ends as if it came whole`, async () => {
    const [whole, different] = await page.evaluate((text) => {
      const whole = globalThis.show(text);
      const letters = Array.from(text, (_, index) => text.slice(0, index + 1));
      const different = [];
      for (let cut = 0; cut < text.length; cut += 1) {
        if (globalThis.show(text.slice(0, cut), text).html !== whole.html) different.push(cut);
      }
      if (globalThis.show(...letters).html !== whole.html) different.push("letter by letter");
      return [whole, different];
    }, text);
    assert.ok(whole.html.length > 20, whole.html);
    assert.deepEqual(different, []);
  });
}

test("each block is announced once, when it is final", async () => {
  const text = "One two.\n\nThree four.\n\n```js\nlet a;\n```\n\n- five\n- six";
  const { blocks } = await page.evaluate(
    (text) => globalThis.show(...Array.from(text, (_, index) => text.slice(0, index + 1))),
    text,
  );
  assert.deepEqual(blocks, ["One two.", "Three four.", "Code: js", "five\nsix"]);
});

test("finished blocks keep their nodes, and so a selection in them", async () => {
  const isSame = await page.evaluate(() => {
    const root = document.createElement("div");
    const stream = new globalThis.subject.MarkdownStream(root);
    stream.show("One.\n\nTwo");
    const first = root.firstChild;
    stream.show("One.\n\nTwo three.\n\nFour");
    return root.firstChild === first && root.childNodes.length === 3;
  });
  assert.ok(isSame);
});

test("a thousand nested quotes are shown and break nothing", async () => {
  const { html } = await page.evaluate(() => globalThis.show(`${">".repeat(5000)} deep`));
  assert.match(html, /deep/);
});
