// Whoever reads a stream of chat chunks, from the body of an answer to what a program works with. Each is given the
// pieces and gives how much text it saw, so that no work is left out.
import { answerOf } from "./corpus.js";

const MESSAGES = [{ role: "user", content: "Hello" }];
const REQUEST = { model: "m", messages: MESSAGES };

async function ours() {
  const { CoMind } = await import("@co-mind/client");
  let pieces;
  const client = new CoMind({ baseURL: "http://edge", token: "t", fetch: async () => answerOf(pieces) });
  return (given) => {
    pieces = given;
    return client.chat.completions.stream(REQUEST);
  };
}

async function theirs() {
  const { default: OpenAI } = await import("openai");
  let pieces;
  const client = new OpenAI({
    baseURL: "http://edge/v1",
    apiKey: "t",
    dangerouslyAllowBrowser: true,
    fetch: async () => answerOf(pieces),
  });
  return (given) => {
    pieces = given;
    return client.chat.completions.create({ ...REQUEST, stream: true });
  };
}

/** What somebody gives who has not looked at the text. */
const LIMIT = -1;

const textOf = (chunk) => chunk.choices[0]?.delta?.content ?? "";

/** By what they give: text as it comes, or each chunk as an object. The first of each is what ours is measured by. */
export const GROUPS = {
  text: {
    "@co-mind/client, for await of textStream": async () => {
      const open = await ours();
      return async (pieces) => {
        let length = 0;
        for await (const text of open(pieces).textStream) length += text.length;
        return length;
      };
    },
    "@co-mind/client, forEachText": async () => {
      const open = await ours();
      return async (pieces) => {
        let length = 0;
        await open(pieces).forEachText((text) => (length += text.length));
        return length;
      };
    },
    "@co-mind/client, finalText": async () => {
      const open = await ours();
      return async (pieces) => (await open(pieces).finalText()).length;
    },
    "the limit: reading the body, and nothing else": async () => async (pieces) => {
      const reader = answerOf(pieces).body.getReader();
      while (!(await reader.read()).done);
      return LIMIT;
    },
  },
  chunks: {
    "@co-mind/client, for await": async () => {
      const open = await ours();
      return async (pieces) => {
        let length = 0;
        for await (const chunk of open(pieces)) length += textOf(chunk).length;
        return length;
      };
    },
    "@co-mind/client, forEach": async () => {
      const open = await ours();
      return async (pieces) => {
        let length = 0;
        await open(pieces).forEach((chunk) => (length += textOf(chunk).length));
        return length;
      };
    },
    "openai, for await": async () => {
      const open = await theirs();
      return async (pieces) => {
        let length = 0;
        for await (const chunk of await open(pieces)) length += textOf(chunk).length;
        return length;
      };
    },
    "eventsource-parser + JSON.parse, callback": async () => {
      const { createParser } = await import("eventsource-parser");
      return async (pieces) => {
        let length = 0;
        const parser = createParser({
          onEvent({ data }) {
            if (data !== "[DONE]") length += textOf(JSON.parse(data)).length;
          },
        });
        const decoder = new TextDecoder();
        const reader = answerOf(pieces).body.getReader();
        for (let piece; !(piece = await reader.read()).done;)
          parser.feed(decoder.decode(piece.value, { stream: true }));
        return length;
      };
    },
    "ai (parseJsonEventStream), for await": async () => {
      const { parseJsonEventStream } = await import("@ai-sdk/provider-utils");
      const { z } = await import("zod/v4");
      const schema = z.any();
      return async (pieces) => {
        let length = 0;
        const stream = parseJsonEventStream({ stream: answerOf(pieces).body, schema });
        const reader = stream.getReader();
        for (let piece; !(piece = await reader.read()).done;)
          if (piece.value.success) length += textOf(piece.value.value).length;
        return length;
      };
    },
  },
};

/** Nanoseconds an event: the median of some passes after warming up. Throws if a text is not the one that was sent. */
export async function time(group, name, { pieces, spelled }, events) {
  const read = await GROUPS[group][name]();
  const spans = [];
  for (let pass = -2; pass < 5; pass++) {
    const start = performance.now();
    const length = await read(pieces);
    const span = performance.now() - start;
    if (length !== spelled.length && length !== LIMIT)
      throw new Error(`${name} saw ${length} of ${spelled.length} characters`);
    if (pass >= 0) spans.push(span);
  }
  spans.sort((a, b) => a - b);
  return (spans[2] * 1e6) / events;
}
