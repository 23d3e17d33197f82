//! The page: makes the parts and lets them know each other.

import { Account } from "./account.js";
import { Announcer } from "./announcer.js";
import { isAble, matrixOf, speedsOf } from "./capabilities.js";
import { Chat } from "./chat.js";
import { client, keeper, meter } from "./client.js";
import { canCopy, copy } from "./clipboard.js";
import { Composer } from "./composer.js";
import { hasImages } from "./conversation.js";
import { failureOf, isSignedOut } from "./failure.js";
import { inWords } from "./figures.js";
import { Follow } from "./follow.js";
import { Limits } from "./limits.js";
import { ModelPicker } from "./models.js";
import { Notice } from "./notice.js";
import { Sparkline } from "./plot.js";
import { Session } from "./session.js";
import { Settings } from "./settings.js";
import { Shelf } from "./shelf.js";
import { Sidebar } from "./sidebar.js";
import { Tokens } from "./tokens.js";

/** How often the matrix is asked for anew while it is open, and models while there are none. */
const LOOK_MS = 5000;
/** A draft is kept when the person pauses for so long. */
const DRAFT_MS = 400;

const ENDED = "Your session has ended. Sign in again: nothing you wrote is lost.";

const at = (id) => document.getElementById(id);

const session = new Session(client, keeper, at("signin"));
const picker = new ModelPicker(at("model"), showBlindness);
const notice = new Notice(at("notice"));
const announcer = new Announcer(at("announcer"));
const follow = new Follow(at("scroll"), at("latest"));
const pace = new Sparkline();
at("pace").prepend(pace.node);
new Limits(at("limits"), meter);

/** Who is signed in, what this browser keeps of them, and what the models can do. */
let user = null;
let shelf = null;
let capabilities = { data: [] };
/** Deleted here: an answer that was still coming must not bring it back. */
const removed = new Set();

const chat = new Chat(client, at("turns"), {
  model: () => picker.chosen,
  timingsOf: (requestId) => meter.timingsOf(requestId),
  onAnswering(isAnswering) {
    composer.isAnswering = isAnswering;
    if (!isAnswering) showPace(null);
    if (isAnswering) announcer.say("Answering…");
  },
  onPace: showPace,
  onBlock: (text) => announcer.say(text),
  onShow: () => follow.grown(),
  onChange: keep,
  onAnswered({ model, figures }) {
    if (figures) shelf.noteSpeed({ model, at: Date.now(), firstMs: figures.firstMs, rate: figures.rate });
  },
  onSignedOut: signInAgain,
});

const composer = new Composer(at("composer"), {
  onSend: send,
  onStop: () => chat.stop(),
  onUp: () => chat.editLast(),
  onDraft(text) {
    chat.conversation.draft = text;
    drafting ??= setTimeout(keepDraft, DRAFT_MS);
  },
});
let drafting = null;

const settings = new Settings(at("settings"), at("show-settings"), (changed) => {
  chat.conversation.settings = changed;
  chat.changed();
});

const sidebar = new Sidebar(
  { root: at("side"), veil: at("veil"), opener: at("unfold"), main: at("page") },
  { onOpen: open, onRemove: remove },
);

const tokens = new Tokens(client, at("tokens"), { model: () => picker.chosen, onSignedOut: signInAgain });
const account = new Account(client, at("account"), {
  async onForget() {
    // An answer that is still coming must not bring its conversation back.
    for (const { id } of await shelf.list()) removed.add(id);
    startOver();
    await shelf.clear();
    await showTitles();
  },
  async onSignOut() {
    chat.stop();
    user = null;
    // What the server says to it changes nothing here.
    await client.auth.logout().catch(() => {});
    location.reload();
  },
  onSignedOut: signInAgain,
});

function send(asked) {
  if (!picker.chosen) {
    notice.show("There is no model to ask.", loadModels);
    return false;
  }
  chat.conversation.draft = "";
  at("empty").hidden = true;
  void chat.send(asked);
  follow.jump();
  return true;
}

function askAgain() {
  void chat.again();
  composer.focus();
}

function startOver() {
  show();
  composer.focus();
}

/** Shows a conversation that was kept, or a new one. */
function show(conversation) {
  keepDraft();
  chat.open(conversation);
  chat.conversation.owner ??= user.id;
  composer.isAnswering = false;
  composer.restore(chat.conversation.draft);
  settings.show(chat.conversation.settings);
  at("empty").hidden = chat.conversation.turns.length > 0;
  showPace(null);
  showBlindness();
  follow.jump();
  void showTitles();
}

async function open(id) {
  const conversation = await shelf.load(id);
  if (!conversation) return showTitles();
  show(conversation);
  const model = conversation.turns.at(-1)?.answer.model;
  if (model) picker.choose(model);
  composer.focus();
}

function keepDraft() {
  if (drafting === null) return;
  clearTimeout(drafting);
  drafting = null;
  chat.changed();
}

async function keep(conversation) {
  // What belongs to whoever was here before is not put on this person's shelf.
  if (removed.has(conversation.id) || conversation.owner !== user?.id) return;
  try {
    await shelf.save(conversation);
  } catch (error) {
    // The disk is full, or the browser forbids it: the page goes on, and says so.
    notice.show(`This conversation cannot be kept in this browser (${error.name}).`);
  }
  await showTitles();
}

async function remove(id) {
  const conversation = await shelf.load(id);
  removed.add(id);
  await shelf.remove(id);
  if (chat.conversation.id === id) startOver();
  await showTitles();
  if (!conversation) return;
  const restore = async () => {
    removed.delete(id);
    notice.hide();
    await keep(conversation);
    await open(id);
  };
  notice.show(`“${conversation.title}” is deleted.`, restore, { label: "Undo", isCalm: true });
}

async function showTitles() {
  const { title } = chat.conversation;
  at("heading").textContent = title || "New conversation";
  document.title = title ? `${title} · co-mind` : "co-mind";
  if (shelf) sidebar.show(await shelf.list(), chat.conversation.id);
}

/** How fast the answer comes, in one place that does not move; null when none does. */
function showPace(figures) {
  at("pace").hidden = !figures;
  at("keys").hidden = Boolean(figures);
  at("pace").querySelector("span").textContent = inWords(figures);
  pace.show(figures?.buckets ?? []);
}

/** Whether the chosen model takes pictures, and if not, says why. */
function showBlindness() {
  const model = picker.chosen;
  const isBlind = model !== "" && !isAble(capabilities, model, "vision");
  composer.blindness = isBlind
    ? `${model} cannot look at pictures. Choose a model with vision for that.`
    : "";
  if (isBlind && hasImages(chat.conversation))
    notice.show(`This conversation has pictures, which ${model} cannot look at.`);
}

/** Looks for models again, as long as there are none. */
let looking;

async function loadModels() {
  clearTimeout(looking);
  try {
    const { data } = await client.models.list();
    // What models can do only greys out what they cannot: not worth a failure.
    capabilities = await client.capabilities().catch(() => ({ data: [] }));
    picker.offer(data, (id) => isAble(capabilities, id, "chat"));
    if (picker.chosen) return notice.hide();
    notice.show("No model is up at the moment. This page looks again every few seconds.", loadModels);
    looking = setTimeout(loadModels, LOOK_MS);
  } catch (error) {
    await recover(error, loadModels);
  }
}

async function showModels() {
  const dialog = at("capabilities");
  const matrix = dialog.querySelector(".matrix");
  matrix.textContent = "Asking the backends…";
  if (!dialog.open) dialog.showModal();
  try {
    await refreshMatrix();
    const speeds = speedsOf(await shelf.speeds());
    dialog.querySelector(".plots").replaceChildren(...(speeds ? [speeds] : []));
  } catch (error) {
    dialog.close();
    await recover(error, showModels);
    return;
  }
  const timer = setInterval(() => refreshMatrix().catch(() => {}), LOOK_MS);
  dialog.addEventListener("close", () => clearInterval(timer), { once: true });
}

async function refreshMatrix() {
  const [matrix, health] = await Promise.all([client.capabilities(), client.backends.health()]);
  capabilities = matrix;
  at("capabilities").querySelector(".matrix").replaceChildren(matrixOf(matrix, health));
}

/** After a failure outside of an answer: signs in again, or says what happened and offers `again`. */
async function recover(error, again) {
  if (isSignedOut(error)) {
    await signInAgain();
    return again();
  }
  notice.show(failureOf(error).sentence, again);
}

/** Asks who is there; somebody else than before gets a page of their own. */
async function signInAgain() {
  await enter(await session.signIn(ENDED));
  composer.focus();
}

async function enter(signedIn) {
  if (user?.id === signedIn.id) return;
  user = signedIn;
  at("who").textContent = user.email;
  shelf?.close();
  shelf = await Shelf.open(user.id, showTitles);
  show();
}

/** What the buttons inside turns do; they come and go, so the list of turns listens for them. */
const deeds = {
  copy: (button, { answer }) => copy(answer.record.text, button),
  "copy-code": (button) => copy(button.closest("figure").querySelector("pre").textContent, button),
  edit: (_, { question }) => question.edit(),
  again: askAgain,
  signIn: () => signInAgain().then(askAgain),
  otherModel: () => loadModels().then(() => picker.focus()),
  newConversation: startOver,
};

at("turns").addEventListener("click", (event) => {
  const button = event.target.closest("[data-do]");
  if (button) deeds[button.dataset.do]?.(button, chat.viewAt(button));
});

at("starters").addEventListener("click", (event) => {
  const starter = event.target.closest("button");
  if (starter) composer.write(starter.textContent);
});
at("show-capabilities").addEventListener("click", showModels);
at("show-tokens").addEventListener("click", () => tokens.open());
at("show-account").addEventListener("click", () => account.open(user));
at("show-settings").addEventListener("click", () => settings.open());
at("new-conversation").addEventListener("click", startOver);
addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.shiftKey && event.code === "KeyO") {
    event.preventDefault();
    if (!document.querySelector("dialog[open]")) startOver();
  }
});

addEventListener("pagehide", keepDraft);
addEventListener("offline", () => notice.show("You are offline. What you write stays here."));
addEventListener("online", () => {
  notice.hide();
  if (chat.last?.isWaiting) askAgain();
});
client.auth.onChange((changed) => {
  if (!changed) return user && void signInAgain();
  if (!session.dismiss(changed.user) && user) void enter(changed.user);
});

at("origin").textContent = location.host;
document.documentElement.classList.toggle("cannot-copy", !canCopy);

await enter((await session.resume()) ?? (await session.signIn()));
composer.focus();
await loadModels();
performance.mark("comind-ready");
