// An inference server in a process of its own, to be killed: answers with what it was told to say, well or badly.
//
// Its parent says how by message: `ok`, `refuse` (503), `fail` (500), `hang`, `cut` (in mid-answer), `slow`.
import http from "node:http";
import { json } from "node:stream/consumers";

const MODEL = "m";
let mode = "ok";
process.on("message", (said) => (mode = said));
process.on("disconnect", () => process.exit());

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const chunk = (delta, finish_reason = null) =>
  `data: ${JSON.stringify({ id: "c", object: "chat.completion.chunk", created: 1, model: MODEL, choices: [{ index: 0, delta, finish_reason }] })}\n\n`;

const server = http.createServer(async (request, response) => {
  const reply = (status, body) =>
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  if (request.url === "/v1/models")
    return reply(200, { object: "list", data: [{ id: MODEL, object: "model" }] });
  if (request.url !== "/v1/chat/completions") return reply(404, { error: { message: "no such path" } });
  let body;
  try {
    body = await json(request);
  } catch {
    return; // The edge went away.
  }
  const now = mode;
  const [nonce, count] = body.messages.at(-1).content.split(" ");
  const words = Array.from({ length: Number(count) }, (_, at) => `${nonce}-${at}`);
  if (now === "refuse") return reply(503, { error: { message: "busy" } });
  if (now === "fail") return reply(500, { error: { message: "broken" } });
  if (now === "hang") return;
  if (now === "slow") await sleep(500);
  const usage = { prompt_tokens: 3, completion_tokens: words.length, total_tokens: 3 + words.length };
  if (!body.stream) {
    const text = JSON.stringify({
      id: "c",
      object: "chat.completion",
      created: 1,
      model: MODEL,
      choices: [
        { index: 0, message: { role: "assistant", content: words.join(" ") }, finish_reason: "stop" },
      ],
      usage,
    });
    response.writeHead(200, {
      "content-type": "application/json",
      "content-length": Buffer.byteLength(text),
    });
    if (now !== "cut") return response.end(text);
    response.write(text.slice(0, text.length / 2));
    await sleep(20);
    return response.destroy();
  }
  response.writeHead(200, { "content-type": "text/event-stream" });
  for (const [at, word] of words.entries()) {
    if (response.destroyed) return;
    if (now === "cut" && at === words.length >> 1) return response.destroy();
    response.write(chunk({ content: `${word} ` }));
    await sleep(now === "slow" ? 50 : 5);
  }
  response.write(chunk({}, "stop"));
  if (body.stream_options?.include_usage)
    response.write(`data: ${JSON.stringify({ id: "c", choices: [], usage })}\n\n`);
  response.end("data: [DONE]\n\n");
});
server.requestTimeout = 0;
server.listen(Number(process.argv[2]), "127.0.0.1", () => process.send({ port: server.address().port }));
