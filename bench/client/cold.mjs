// From nothing to the first request: node cold.mjs PACKAGE; prints milliseconds from the import to the call of `fetch`.
const [name] = process.argv.slice(2);
const start = performance.now();
const { default: OpenAI, CoMind } = await import(name);
const sent = Promise.withResolvers();
const fetch = async () => {
  sent.resolve(performance.now() - start);
  return new Response("{}", { headers: { "content-type": "application/json" } });
};
const client = CoMind
  ? new CoMind({ baseURL: "http://edge", token: "t", fetch })
  : new OpenAI({ baseURL: "http://edge/v1", apiKey: "t", fetch });
await client.chat.completions.create({ model: "m", messages: [{ role: "user", content: "Hello" }] });
console.log(await sent.promise);
