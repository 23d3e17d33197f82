//! A conversation as data: what is kept of it, and what a model is told.

/** How long a title may get, in characters. */
const TITLE = 60;

/** One that has nothing in it yet. */
export function newConversation() {
  return { id: crypto.randomUUID(), title: "", updatedAt: 0, settings: {}, draft: "", turns: [] };
}

/** What it is called in the list: its first words. */
export function titleOf({ text = "", images = [] }) {
  const words = text.replace(/\s+/g, " ").trim();
  if (words === "") return images.length > 0 ? "An image" : "A conversation";
  const characters = Array.from(words);
  return characters.length > TITLE ? `${characters.slice(0, TITLE - 1).join("")}…` : words;
}

/** Whether it holds an image, which only some models can look at. */
export function hasImages({ turns }) {
  return turns.some(({ asked }) => asked.images?.length > 0);
}

/**
 * The parameters of `POST /v1/chat/completions`: every question that was answered, and the last, which is asked.
 * A tool call that nobody gave a result for is left out: servers refuse it.
 */
export function paramsOf({ settings, turns }, model) {
  const { system, tools, stop, ...numbers } = settings;
  const last = turns.length - 1;
  const messages = turns.flatMap(({ asked, answer }, index) => {
    const questions = asked.results ? asked.results.map(toolMessage) : [userMessage(asked)];
    if (index === last) return questions;
    const reply = assistantMessage(answer, turns[index + 1].asked.results);
    return reply || asked.results ? [...questions, ...(reply ? [reply] : [])] : [];
  });
  if (system) messages.unshift({ role: "system", content: system });
  return {
    model,
    messages,
    ...numbers,
    ...(stop?.length > 0 ? { stop } : {}),
    ...(tools?.length > 0 ? { tools } : {}),
    stream: true,
    stream_options: { include_usage: true },
  };
}

function userMessage({ text, images = [] }) {
  if (images.length === 0) return { role: "user", content: text };
  const parts = images.map((url) => ({ type: "image_url", image_url: { url } }));
  return { role: "user", content: [...(text ? [{ type: "text", text }] : []), ...parts] };
}

function toolMessage({ id, content }) {
  return { role: "tool", tool_call_id: id, content };
}

function assistantMessage({ text, toolCalls = [] }, results) {
  if (results && toolCalls.length > 0)
    return { role: "assistant", content: text || null, tool_calls: toolCalls };
  return text ? { role: "assistant", content: text } : null;
}
