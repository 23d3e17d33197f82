// An inference server in a process of its own, that a test can kill, stop and slow down: `node replica.mjs PORT`.
// A line of JSON on its standard input changes how it answers: {"delayMs":1500}.
import http from "node:http";
import { createInterface } from "node:readline";

const MODEL = "m";
const WORDS = 12;
let delayMs = 20;
createInterface({ input: process.stdin }).on("line", (line) => ({ delayMs } = JSON.parse(line)));

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const chunk = (delta, finish_reason = null) =>
  `data: ${JSON.stringify({ id: "c", object: "chat.completion.chunk", created: 1, model: MODEL, choices: [{ index: 0, delta, finish_reason }] })}\n\n`;

const server = http.createServer(async (request, response) => {
  let body = "";
  for await (const piece of request) body += piece;
  const json = (value) =>
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(value));
  if (request.method === "GET") return json({ object: "list", data: [{ id: MODEL, object: "model" }] });
  if (!JSON.parse(body).stream) {
    await pause(5 * delayMs);
    const message = { role: "assistant", content: "word ".repeat(WORDS) };
    return json({
      id: "c",
      object: "chat.completion",
      created: 1,
      model: MODEL,
      choices: [{ index: 0, message, finish_reason: "stop" }],
      usage: { prompt_tokens: 5, completion_tokens: WORDS, total_tokens: WORDS + 5 },
    });
  }
  response.writeHead(200, { "content-type": "text/event-stream" });
  for (let word = 0; word < WORDS; word += 1) {
    await pause(delayMs);
    response.write(chunk({ content: "word " }));
  }
  response.end(`${chunk({}, "stop")}data: [DONE]\n\n`);
});
server.listen(Number(process.argv[2]), "127.0.0.1", () => console.log(server.address().port));
