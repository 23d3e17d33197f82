// The stream that all contenders read: chunks as OpenAI and vLLM write them, 225 bytes each, of a vocabulary in which
// few words are frequent. The same bytes each time.

export const EVENTS = 20_000;
const WORDS = 3000;

/** How the network may cut it: the bytes of a piece; 0 for one event a piece. */
export const CUTS = { "one event a piece": 0, "16 KiB pieces": 16_384, "64 byte pieces": 64 };

/** Numbers from 0 to 1, repeatable (mulberry32). */
function dice(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function vocabulary(roll) {
  const letters = "etaoinshrdlu";
  const word = () =>
    Array.from({ length: 1 + Math.floor(roll() * 7) }, () => letters[Math.floor(roll() ** 2 * 12)]).join("");
  const odd = [", ", ".\\n\\n", ' \\"', "é", "—", "世界", "😀"];
  return Array.from({ length: WORDS }, (_, at) =>
    at % 40 === 39 ? odd[Math.floor(at / 40) % odd.length] : ` ${word()}`,
  );
}

/** The stream in pieces, and the text that it spells. */
export function corpus(cut) {
  const roll = dice(7);
  const words = vocabulary(roll);
  const chunk = (delta, reason) =>
    `data: {"id":"chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT","object":"chat.completion.chunk","created":1741569952,` +
    `"model":"Qwen/Qwen2.5-32B-Instruct","choices":[{"index":0,"delta":${delta},"logprobs":null,"finish_reason":${reason}}]}\n\n`;
  const events = [chunk('{"role":"assistant","content":""}', "null")];
  let spelled = "";
  for (let count = 0; count < EVENTS - 2; count++) {
    const word = words[Math.floor(roll() ** 3 * WORDS)];
    spelled += JSON.parse(`"${word}"`);
    events.push(chunk(`{"content":"${word}"}`, "null"));
  }
  events.push(chunk("{}", '"stop"'), "data: [DONE]\n\n");
  const encoder = new TextEncoder();
  if (cut === 0) return { pieces: events.map((event) => encoder.encode(event)), spelled };
  const bytes = encoder.encode(events.join(""));
  const pieces = [];
  for (let at = 0; at < bytes.length; at += cut) pieces.push(bytes.slice(at, at + cut));
  return { pieces, spelled };
}

/** The pieces as the body of an answer, as `fetch` gives one. */
export function answerOf(pieces) {
  let at = 0;
  const body = new ReadableStream(
    {
      pull(controller) {
        if (at < pieces.length) controller.enqueue(pieces[at++]);
        else controller.close();
      },
    },
    { highWaterMark: 0 },
  );
  return new Response(body, { headers: { "content-type": "text/event-stream" } });
}
