//! The page: makes the parts and lets them know each other.

import { Announcer } from "./announcer.js";
import { canChat, matrixOf } from "./capabilities.js";
import { client } from "./client.js";
import { canCopy, copy } from "./clipboard.js";
import { Composer } from "./composer.js";
import { Conversation } from "./conversation.js";
import { failureOf, isSignedOut } from "./failure.js";
import { Follow } from "./follow.js";
import { ModelPicker } from "./models.js";
import { Notice } from "./notice.js";
import { Session } from "./session.js";

const at = (id) => document.getElementById(id);

const session = new Session(client, at("signin"));
const picker = new ModelPicker(at("model"));
const notice = new Notice(at("notice"));
const announcer = new Announcer(at("announcer"));
const follow = new Follow(at("scroll"), at("latest"));

const conversation = new Conversation(client, at("turns"), {
  model: () => picker.chosen,
  onAnswering: (isAnswering) => {
    composer.isAnswering = isAnswering;
    if (isAnswering) announcer.say("Answering…");
  },
  onBlock: (text) => announcer.say(text),
  onShow: () => follow.grown(),
  onSignedOut: async () => {
    await session.signIn("Your session has ended. Sign in again: nothing you wrote is lost.");
    composer.focus();
  },
});

const composer = new Composer(at("composer"), { onSend: send, onStop: () => conversation.stop() });

function send(text) {
  if (!picker.chosen) {
    notice.show("There is no model to ask.", loadModels);
    return false;
  }
  at("empty").hidden = true;
  conversation.send(text);
  follow.jump();
  return true;
}

function askAgain() {
  conversation.again();
  composer.focus();
}

function startOver() {
  conversation.clear();
  composer.isAnswering = false;
  at("empty").hidden = false;
  composer.focus();
}

async function loadModels() {
  notice.hide();
  try {
    const { data } = await client.models.list();
    // What models can do only greys out those that cannot chat: not worth a failure.
    const capabilities = await client.capabilities().catch(() => ({ data: [] }));
    picker.offer(data, (id) => canChat(capabilities, id));
    if (!picker.chosen) notice.show("No model is up at the moment.", loadModels);
  } catch (error) {
    await recover(error, loadModels);
  }
}

async function showCapabilities() {
  const matrix = at("capabilities").querySelector(".matrix");
  matrix.textContent = "Asking the backends…";
  if (!at("capabilities").open) at("capabilities").showModal();
  try {
    matrix.replaceChildren(matrixOf(await client.capabilities()));
  } catch (error) {
    at("capabilities").close();
    await recover(error, showCapabilities);
  }
}

/** After a failure outside of an answer: signs in again, or says what happened and offers `again`. */
async function recover(error, again) {
  if (isSignedOut(error)) {
    await session.signIn("Your session has ended. Sign in again: nothing you wrote is lost.");
    return again();
  }
  notice.show(failureOf(error).sentence, again);
}

/** What the buttons inside answers do; they come and go, so the list of turns listens for them. */
const deeds = {
  copy: (button, answer) => copy(answer.text, button),
  "copy-code": (button) => copy(button.closest("figure").querySelector("pre").textContent, button),
  again: askAgain,
  signIn: () => session.signIn("Sign in again: nothing you wrote is lost.").then(askAgain),
  otherModel: () => loadModels().then(() => picker.focus()),
  newConversation: startOver,
};

at("turns").addEventListener("click", (event) => {
  const button = event.target.closest("[data-do]");
  if (!button) return;
  deeds[button.dataset.do]?.(button, conversation.answerAt(button.closest(".answer")));
});

at("starters").addEventListener("click", (event) => {
  const starter = event.target.closest("button");
  if (starter) composer.write(starter.textContent);
});
at("show-capabilities").addEventListener("click", showCapabilities);
at("new-conversation").addEventListener("click", startOver);
at("sign-out").addEventListener("click", () => session.signOut());

addEventListener("offline", () => notice.show("You are offline. What you write stays here."));
addEventListener("online", () => notice.hide());

at("origin").textContent = location.host;
document.documentElement.classList.toggle("cannot-copy", !canCopy);

await session.signIn();
composer.focus();
await loadModels();
