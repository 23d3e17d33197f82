// Conversations: kept, opened, edited, deleted; what goes with their questions.
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";

import { openScene } from "../e2e/scene.mjs";
import { event } from "../e2e/upstream.mjs";
import { begin, chat, finish, reply, stream } from "./backend.mjs";
import { openBrowser } from "./browser.mjs";
import { answer, ask, says, signIn } from "./visitor.mjs";

/** One red pixel. */
const PIXEL =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==";

let scene, browser, page;
before(async () => {
  scene = await openScene({ console: true });
  browser = await openBrowser();
});
after(async () => {
  await browser?.close();
  await scene?.close();
});
beforeEach(async () => {
  page = await browser.open(scene.url);
  await signIn(page, scene.settings);
});
afterEach(() => browser.leave(page));

const model = () => page.getByLabel("Model", { exact: true });
const titles = () => page.getByRole("list", { name: "Your conversations" }).getByRole("listitem");
const title = (name) => titles().getByRole("button", { name, exact: true });
const contents = (exchange) => exchange.json.messages.map(({ content }) => content);

/** Puts pictures where a person would: `paste` into the draft, `drop` onto the page. */
async function give(how, files) {
  await page.evaluate(
    ([how, files]) => {
      const data = new DataTransfer();
      for (const { name, type, base64 } of files) {
        const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
        data.items.add(new File([bytes], name, { type }));
      }
      const draft = document.getElementById("draft");
      if (how === "paste")
        draft.dispatchEvent(
          new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }),
        );
      else
        draft.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
    },
    [how, files],
  );
}
const picture = (name = "red.png") => ({ name, type: "image/png", base64: PIXEL });

describe("the list", () => {
  test("several conversations are kept over a reload, each as it was", async () => {
    await chat(page, scene, "What is one?", "One is **first**.");
    await page.getByRole("button", { name: "New conversation" }).click();
    await chat(page, scene, "What is two?", "```js\nlet two = 2;\n```");
    await says(titles().first(), /^What is two\?/);

    await page.reload();
    await signIn(page, scene.settings);
    assert.equal(await page.locator(".turns article").count(), 0);
    await title("What is one?").click();
    await says(answer(page, ".prose"), /^One is first\.$/);
    assert.equal(await answer(page, ".prose strong").innerText(), "first");
    await says(answer(page, ".pace"), /s to first token/);
    await title("What is two?").click();
    await says(answer(page, ".prose .hljs-keyword"), /^let$/);

    const next = await chat(page, scene, "And three?", "Three.");
    assert.deepEqual(contents(next), ["What is two?", "```js\nlet two = 2;\n```", "And three?"]);
  });

  test("a question is kept before its answer is whole", async () => {
    const exchange = await begin(page, scene, "Tell me a long story");
    await exchange.send(event({ content: "Once" }));
    await says(answer(page, ".prose"), /Once/);
    await page.reload();
    await signIn(page, scene.settings);
    await title("Tell me a long story").click();
    await says(page.locator(".question .words"), /^Tell me a long story$/);
    await page.getByRole("button", { name: "Answer again" }).click();
    await reply(page, scene, "The whole story.");
    await says(answer(page, ".prose"), /^The whole story\.$/);
  });

  test("a draft stays with its conversation", async () => {
    await chat(page, scene, "First", "Yes.");
    await page.getByLabel("Your message").fill("half a thought");
    await page.getByRole("button", { name: "New conversation" }).click();
    assert.equal(await page.getByLabel("Your message").inputValue(), "");
    await chat(page, scene, "Second", "No.");
    await title("First").click();
    await says(answer(page, ".prose"), /^Yes\.$/);
    assert.equal(await page.getByLabel("Your message").inputValue(), "half a thought");
  });

  test("one is deleted, and comes back by undo", async () => {
    await chat(page, scene, "Keep me", "I will.");
    await page.getByRole("button", { name: "Delete “Keep me”" }).click();
    await says(page.locator("#notice"), /“Keep me” is deleted/);
    assert.equal(await titles().count(), 0);
    assert.equal(await page.locator(".turns article").count(), 0);
    await page.getByRole("button", { name: "Undo" }).click();
    await says(answer(page, ".prose"), /^I will\.$/);
    assert.equal(await titles().count(), 1);
  });

  test("one that is deleted in mid-answer stays deleted", async () => {
    const exchange = await begin(page, scene, "Forget me");
    await exchange.send(event({ content: "I" }));
    await says(answer(page, ".prose"), /I/);
    await page.getByRole("button", { name: "Delete “Forget me”" }).click();
    await page.getByRole("heading", { name: "What shall we work on?" }).waitFor();
    await exchange.closed;
    await chat(page, scene, "Another", "Yes.");
    assert.deepEqual(await titles().locator(".title").allInnerTexts(), ["Another"]);
  });

  test("another page of the browser shows the same list, signed in as well; signing out is for all", async () => {
    await chat(page, scene, "Shared", "Yes.");
    const other = await page.context().newPage();
    await other.goto(scene.url);
    await other.locator("#model:enabled").waitFor();
    await says(other.locator("#conversations"), /Shared/);
    await chat(page, scene, "More of it", "Indeed.");

    await other.getByRole("button", { name: "Account" }).click();
    await other.getByRole("button", { name: "Sign out" }).click();
    await other.getByRole("button", { name: "Sign in" }).waitFor();
    await page.getByRole("button", { name: "Sign in" }).waitFor();
    await other.close();
  });
});

describe("a question", () => {
  test("is edited and sent again: what came after it is gone", async () => {
    await chat(page, scene, "One", "First.");
    await chat(page, scene, "Two", "Second.");
    await page.locator(".question").first().hover();
    await page.getByRole("button", { name: "Edit and send again" }).first().click();
    await page.getByLabel("Edit your message").fill("One and a half");
    await page.keyboard.press("Enter");
    const exchange = await reply(page, scene, "Third.");
    assert.deepEqual(contents(exchange), ["One and a half"]);
    await says(page.locator(".turns"), /^One and a half[^]*Third\./);
    assert.doesNotMatch(await page.locator(".turns").innerText(), /First|Second|Two/);
  });

  test("is edited while its answer comes: that one ends, the new one begins", async () => {
    const first = await begin(page, scene, "One");
    await first.send(event({ content: "Fir" }));
    await says(answer(page, ".prose"), /Fir/);
    await page.getByLabel("Your message").press("ArrowUp");
    await page.getByLabel("Edit your message").fill("Two");
    await page.keyboard.press("Enter");
    const second = await reply(page, scene, "Second.");
    assert.deepEqual(contents(second), ["Two"]);
    await says(page.locator(".turns"), /^Two[^]*Second\./);
    await page.getByRole("button", { name: "Send", exact: true }).waitFor();
    assert.deepEqual(await titles().locator(".title").allInnerTexts(), ["Two"]);
  });

  test("the arrow up in an empty draft edits the last; Esc leaves it as it was", async () => {
    await chat(page, scene, "One", "First.");
    await page.getByLabel("Your message").press("ArrowUp");
    await page.getByLabel("Edit your message").fill("Never mind");
    await page.keyboard.press("Escape");
    await says(page.locator(".question .words"), /^One$/);
    assert.equal(await page.getByLabel("Edit your message").count(), 0);
  });
});

describe("what goes with every question", () => {
  const field = (name) => page.getByRole("textbox", { name }).or(page.getByRole("spinbutton", { name }));

  test("system prompt and parameters are sent as they are set, and kept with the conversation", async () => {
    await page.getByRole("button", { name: "System prompt and parameters" }).click();
    await field("System prompt").fill("Answer in one word.");
    await field("Temperature").fill("0.2");
    await page.getByRole("slider", { name: "Top p" }).fill("0.5");
    await field("Most tokens").fill("64");
    await field("Seed").fill("7");
    await field("Stop at").fill("END\nSTOP");
    await page.keyboard.press("Escape");
    const exchange = await chat(page, scene, "Capital of France?", "Paris");
    const { temperature, top_p, max_tokens, seed, stop, messages } = exchange.json;
    assert.deepEqual(
      { temperature, top_p, max_tokens, seed, stop },
      { temperature: 0.2, top_p: 0.5, max_tokens: 64, seed: 7, stop: ["END", "STOP"] },
    );
    assert.deepEqual(messages[0], { role: "system", content: "Answer in one word." });

    await page.getByRole("button", { name: "New conversation" }).click();
    const plain = await chat(page, scene, "And here?", "Nothing.");
    assert.deepEqual(Object.keys(plain.json).toSorted(), ["messages", "model", "stream", "stream_options"]);
    await title("Capital of France?").click();
    await page.getByRole("button", { name: "System prompt and parameters" }).click();
    assert.equal(await field("Temperature").inputValue(), "0.2");
    await page.getByRole("button", { name: "Back to the defaults" }).click();
    await page.keyboard.press("Escape");
    const reset = await chat(page, scene, "Again", "Yes.");
    assert.equal("temperature" in reset.json, false);
  });

  test("a value out of its documented range says so and is not sent", async () => {
    await page.getByRole("button", { name: "System prompt and parameters" }).click();
    for (const [name, bad, good, key] of [
      ["Temperature", "2.1", "2", "temperature"],
      ["Top p", "1.01", "1", "top_p"],
      ["Most tokens", "0", "1", "max_tokens"],
    ]) {
      await field(name).fill(bad);
      assert.equal(await field(name).getAttribute("aria-invalid"), "true", name);
      await says(page.locator(`#${key.replaceAll("_", "-")}-problem`), /\w/);
      await field(name).fill(good);
      assert.equal(await field(name).getAttribute("aria-invalid"), "false", name);
    }
    await field("Temperature").fill("3");
    await field("Tools").fill("[{");
    await says(page.locator("#tools-problem"), /^Not JSON yet/);
    await page.keyboard.press("Escape");
    const { json } = await chat(page, scene, "Hello", "Hi.");
    assert.deepEqual(
      [json.temperature, json.top_p, json.max_tokens, json.tools],
      [undefined, 1, 1, undefined],
    );
  });

  test("tools: a call shows its arguments, takes its result and goes on", async () => {
    await model().selectOption("seeing-model");
    await page.getByRole("button", { name: "System prompt and parameters" }).click();
    await field("Tools").fill('[{"name":"weather","parameters":{"type":"object"}}]');
    await page.keyboard.press("Escape");

    await ask(page, "Weather in Oslo?");
    const first = await stream(scene);
    assert.deepEqual(first.json.tools, [
      { type: "function", function: { name: "weather", parameters: { type: "object" } } },
    ]);
    const call = {
      index: 0,
      id: "call_1",
      type: "function",
      function: { name: "weather", arguments: '{"city"' },
    };
    await first.send(event({ tool_calls: [call] }));
    await says(answer(page, ".call h3"), /^weather$/);
    await first.send(event({ tool_calls: [{ index: 0, function: { arguments: ':"Oslo"}' } }] }));
    await finish(first, "tool_calls");
    await says(answer(page, ".call pre"), /^\{\n {2}"city": "Oslo"\n\}$/);

    await page.getByLabel("Result of weather").fill("4 degrees, rain");
    await page.getByRole("button", { name: "Send the result" }).click();
    const second = await reply(page, scene, "Take an umbrella.");
    assert.deepEqual(second.json.messages.slice(1), [
      {
        role: "assistant",
        content: null,
        tool_calls: [
          { id: "call_1", type: "function", function: { name: "weather", arguments: '{"city":"Oslo"}' } },
        ],
      },
      { role: "tool", tool_call_id: "call_1", content: "4 degrees, rain" },
    ]);
    await says(page.locator(".turns"), /Result of weather\s+4 degrees, rain[^]*Take an umbrella\./);
    assert.equal(await page.getByRole("button", { name: "Send the result" }).count(), 0);
  });
});

describe("pictures", () => {
  const LINES = /^text-model cannot look at pictures\./;

  test("a model without vision says why it takes none", async () => {
    await model().selectOption("text-model");
    const attach = page.getByRole("button", { name: "Add pictures" });
    assert.equal(await attach.getAttribute("aria-disabled"), "true");
    assert.match(await attach.getAttribute("title"), LINES);
    for (const how of ["paste", "drop"]) {
      await give(how, [picture()]);
      await says(page.locator("#attach-reason"), LINES);
      assert.equal(await page.locator("#tray li").count(), 0);
      await model().selectOption("seeing-model");
      await page.locator("#attach-reason").waitFor({ state: "hidden" });
      await model().selectOption("text-model");
    }
  });

  test("are pasted, dropped and chosen, can be taken out, and go with the question", async () => {
    await model().selectOption("seeing-model");
    await give("paste", [picture("a.png")]);
    await give("drop", [picture("b.png")]);
    await page
      .locator("#files")
      .setInputFiles([{ name: "c.png", mimeType: "image/png", buffer: Buffer.from(PIXEL, "base64") }]);
    await page.locator("#tray li").nth(2).waitFor();
    await page.getByRole("button", { name: "Remove picture 2" }).click();
    const exchange = await chat(page, scene, "What is this?", "Red.");
    const url = `data:image/png;base64,${PIXEL}`;
    assert.deepEqual(exchange.json.messages, [
      {
        role: "user",
        content: [
          { type: "text", text: "What is this?" },
          { type: "image_url", image_url: { url } },
          { type: "image_url", image_url: { url } },
        ],
      },
    ]);
    assert.equal(await page.locator(".question img").count(), 2);
    assert.equal(await page.locator("#tray li").count(), 0);
  });

  test("that were added before the model was changed are greyed, and do not go", async () => {
    await model().selectOption("seeing-model");
    await give("paste", [picture()]);
    await page.locator("#tray li").waitFor();
    await model().selectOption("text-model");
    await says(page.locator("#attach-reason"), LINES);
    assert.match(await page.locator("#tray").getAttribute("class"), /refused/);
    await ask(page, "What is this?");
    await says(page.locator("#attach-reason"), LINES);
    assert.equal(await page.locator(".turns article").count(), 0);
    await model().selectOption("seeing-model");
    await ask(page, "What is this?");
    const exchange = await reply(page, scene, "Red.");
    assert.equal(exchange.json.messages[0].content.length, 2);
  });

  test("in a conversation that a model without vision goes on with are the edge's to refuse", async () => {
    await model().selectOption("seeing-model");
    await give("paste", [picture()]);
    await page.locator("#tray li").waitFor();
    await chat(page, scene, "What is this?", "Red.");
    await model().selectOption("text-model");
    await says(page.locator("#notice"), /has pictures, which text-model cannot look at/);
    await ask(page, "Sure?");
    await says(answer(page, ".failure .sentence"), /^This model cannot do that\.$/);
    await answer(page, ".failure").getByRole("button", { name: "Choose another model" }).waitFor();
  });

  test("what is no picture, and one too many, are told", async () => {
    await model().selectOption("seeing-model");
    await give("paste", [{ name: "broken.png", type: "image/png", base64: btoa("not a picture") }]);
    await says(page.locator("#attach-reason"), /^broken\.png cannot be read as a picture\.$/);
    await give(
      "drop",
      Array.from({ length: 8 }, () => picture()),
    );
    await page.locator("#tray li").nth(7).waitFor();
    assert.equal(await page.locator("#attach-reason").isVisible(), false);
    await give("drop", [picture()]);
    await says(page.locator("#attach-reason"), /^At most 8 pictures/);
    assert.equal(await page.locator("#tray li").count(), 8);
  });

  test("a large one is made small enough for a model", async () => {
    await model().selectOption("seeing-model");
    const base64 = await page.evaluate(async () => {
      const canvas = new OffscreenCanvas(4096, 1024);
      canvas.getContext("2d").fillRect(0, 0, 4096, 1024);
      const bytes = new Uint8Array(await (await canvas.convertToBlob()).arrayBuffer());
      return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
    });
    await give("paste", [{ name: "wide.png", type: "image/png", base64 }]);
    const image = page.locator("#tray img");
    await image.waitFor();
    const [width, height, src] = await image.evaluate(async (node) => {
      await node.decode();
      return [node.naturalWidth, node.naturalHeight, node.src];
    });
    assert.deepEqual([width, height], [2048, 512]);
    assert.match(src, /^data:image\/jpeg;base64,/);
  });
});
