// The backend's side of a conversation: what a test has a model say.
import { DONE, event } from "../e2e/upstream.mjs";
import { answer, ask } from "./visitor.mjs";

/** Sends a message and gives the backend's end of it, its stream begun. */
export async function begin(page, scene, text) {
  await ask(page, text);
  return stream(scene);
}

/** The next request for an answer, its stream begun. */
export async function stream(scene) {
  const exchange = await scene.upstream.next();
  exchange.sendHead();
  await exchange.send(event({ role: "assistant", content: "" }));
  return exchange;
}

/** The natural end of an answer. */
export async function finish(exchange, reason = "stop") {
  await exchange.send(event({}, reason));
  exchange.end(DONE);
}

/** The answer that is asked for next: these words, whole. */
export async function reply(page, scene, words) {
  const exchange = await stream(scene);
  await exchange.send(event({ content: words }));
  await finish(exchange);
  await answer(page, "footer").getByRole("button", { name: "Answer again" }).waitFor();
  return exchange;
}

/** What is asked and answered in one go. */
export async function chat(page, scene, question, words) {
  await ask(page, question);
  return reply(page, scene, words);
}
