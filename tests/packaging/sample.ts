// What a TypeScript user writes; compiled strictly against the packed types, never run.
import {
  CoMind,
  CoMindError,
  init,
  type ChatCompletionChunk,
  type ChatCompletion,
  type ChatStream,
  type ErrorCode,
  type Message,
} from "@co-mind/client";
import { CoMind as SlimCoMind } from "@co-mind/client/slim";

const client = new CoMind({
  baseURL: "https://ai.example.com",
  token: "cmnd_x",
  timeout: 1000,
  maxRetries: 0,
});
new SlimCoMind({ baseURL: "https://ai.example.com", fetch: (url, init) => fetch(url, init) });

async function sample(signal: AbortSignal): Promise<string> {
  await init();
  const { access_token, user } = await client.auth.login({ email: "e", password: "p" });
  const admin: boolean = user.privileges.includes("admin");
  const { data: models } = await client.models.list({ signal });
  const backends = await client.capabilities();
  const vision: boolean = backends.data.some((backend) => backend.capabilities.vision);
  const messages: Message[] = [
    { role: "system", content: "Be brief." },
    {
      role: "user",
      content: [
        { type: "text", text: "?" },
        { type: "image_url", image_url: { url: "data:," } },
      ],
    },
    { role: "tool", content: "4", tool_call_id: "call_1" },
  ];
  const answer: ChatCompletion = await client.chat.completions.create({
    model: models[0]!.id,
    messages,
    top_k: 40,
  });
  const stream: ChatStream = await client.chat.completions.create(
    { model: "m", messages, stream: true },
    { signal },
  );
  let text = answer.choices[0]?.message.content ?? "";
  for await (const chunk of stream) text += deltaOf(chunk);
  const { tool_calls } = await stream.finalMessage();
  text += tool_calls?.map((call) => call.function.arguments).join() ?? "";
  return `${text}${access_token}${admin}${vision}`;
}

function deltaOf(chunk: ChatCompletionChunk): string {
  return chunk.choices[0]?.delta.content ?? "";
}

function explain(thrown: unknown): string {
  if (!(thrown instanceof CoMindError)) throw thrown;
  const code: ErrorCode = thrown.code;
  switch (code) {
    case "rate_limited":
      return `Wait ${thrown.retryAfterMs ?? 0} ms.`;
    case "stream_truncated":
      return thrown.partial?.choices[0]?.message.content ?? "";
    // @ts-expect-error: not one of the codes
    case "teapot":
      return "";
    default:
      return `${thrown.message} (${thrown.requestId})`;
  }
}

// @ts-expect-error: a base URL is required
new CoMind({});
// @ts-expect-error: an image part has an object
({ type: "image_url", image_url: "https://x" }) satisfies Extract<
  Message,
  { role: "user" }
>["content"] extends infer C
  ? C
  : never;
// @ts-expect-error: a tool's message names its call
({ role: "tool", content: "4" }) satisfies Message;

void [sample, explain];
