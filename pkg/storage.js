// Where a session is kept: `get`, `set` and `remove` one text, at once or in their own time. A storage that pages
// share has a `name`, under which they take turns, and `subscribe`, which tells of changes made elsewhere.

/** Memory of this page: gone with it, read by nothing but its own scripts. */
export function memoryStorage() {
  let value = null;
  return {
    get: () => value,
    set: (text) => void (value = text),
    remove: () => void (value = null),
  };
}

/** `localStorage` or `sessionStorage`. Whatever script runs in the page can read it, also later. */
export function webStorage(area, key = "co-mind") {
  return {
    name: key,
    get: () => area.getItem(key),
    set: (text) => area.setItem(key, text),
    remove: () => area.removeItem(key),
    subscribe(changed) {
      const listen = (event) => {
        if (event.storageArea === area && (event.key === key || event.key === null)) changed();
      };
      globalThis.addEventListener?.("storage", listen);
      return () => globalThis.removeEventListener?.("storage", listen);
    },
  };
}

// How long a page that opens waits for another one to hand it the session.
const HELLO_MS = 200;

/** Memory that the open pages of an origin share: nothing is written anywhere, and the last page takes it along. */
export function tabStorage(name = "co-mind") {
  const channel = new BroadcastChannel(`co-mind:${name}`);
  channel.unref?.(); // Node would wait for it.
  let value = null;
  let setAt = 0;
  let hello = null;
  const changes = new Set();
  const adopt = (text, at) => {
    if (at <= setAt) return;
    [value, setAt] = [text, at];
    for (const changed of changes) changed();
  };
  const put = (text) => {
    // Never the same time twice, never back: the latest wins everywhere.
    [value, setAt] = [text, Math.max(Date.now(), setAt + 1)];
    channel.postMessage({ text: value, at: setAt });
  };
  channel.addEventListener("message", ({ data }) => {
    if (data.at) adopt(data.text, data.at);
    else if (setAt) channel.postMessage({ text: value, at: setAt });
  });
  const ask = async () => {
    let answered;
    await new Promise((resolve) => {
      changes.add((answered = resolve));
      channel.postMessage({});
      setTimeout(resolve, HELLO_MS);
    });
    changes.delete(answered);
  };
  return {
    name,
    async get() {
      if (!setAt) await (hello ??= ask());
      return value;
    },
    set: put,
    remove: () => put(null),
    subscribe(changed) {
      changes.add(changed);
      return () => changes.delete(changed);
    },
  };
}
