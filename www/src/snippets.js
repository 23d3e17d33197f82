//! The same first call in three languages, with this server's address, a model and a token filled in.

/**
 * @param {{ origin: string, model: string, token: string, canChat: boolean }} given
 *   `canChat`: whether the token may chat; one that may not lists the models instead
 * @returns {[string, string, string][]} name, language for the colours, text
 */
export function snippetsOf({ origin, model, token, canChat }) {
  const question = "What is the capital of France?";
  const body = JSON.stringify({ model, messages: [{ role: "user", content: question }] });
  const curl = canChat
    ? `curl ${origin}/v1/chat/completions \\
  -H "Authorization: Bearer ${token}" \\
  -H "Content-Type: application/json" \\
  -d ${shellQuoted(body)}`
    : `curl ${origin}/v1/models \\
  -H "Authorization: Bearer ${token}"`;
  const javascript = canChat
    ? `import { CoMind } from "@co-mind/client";

const client = new CoMind({ baseURL: ${JSON.stringify(origin)}, token: ${JSON.stringify(token)} });
const stream = client.chat.completions.stream({
  model: ${JSON.stringify(model)},
  messages: [{ role: "user", content: ${JSON.stringify(question)} }],
});
for await (const text of stream.textStream) process.stdout.write(text);`
    : `import { CoMind } from "@co-mind/client";

const client = new CoMind({ baseURL: ${JSON.stringify(origin)}, token: ${JSON.stringify(token)} });
for (const { id } of (await client.models.list()).data) console.log(id);`;
  const python = canChat
    ? `from openai import OpenAI

client = OpenAI(base_url=${JSON.stringify(`${origin}/v1`)}, api_key=${JSON.stringify(token)})
answer = client.chat.completions.create(
    model=${JSON.stringify(model)},
    messages=[{"role": "user", "content": ${JSON.stringify(question)}}],
)
print(answer.choices[0].message.content)`
    : `from openai import OpenAI

client = OpenAI(base_url=${JSON.stringify(`${origin}/v1`)}, api_key=${JSON.stringify(token)})
for model in client.models.list():
    print(model.id)`;
  return [
    ["curl", "bash", curl],
    ["JavaScript", "javascript", javascript],
    ["Python", "python", python],
  ];
}

/** One word of a POSIX shell, whatever is in it. */
function shellQuoted(text) {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
