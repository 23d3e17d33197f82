// The limit for whoever must read a request and its answer, bound both in time and say what a gateway says in headers:
// the calls into the runtime that the edge cannot do without, and nothing decided.
export default {
  async fetch(request, env) {
    let head = `${request.method}\n${request.url}`;
    request.headers.forEach((value, name) => {
      head += `\n${name}\n${value}`;
    });
    const body = await request.arrayBuffer();
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), 60_000);
    const { pathname } = new URL(request.url);
    const answer = await fetch(env.UPSTREAM + pathname, {
      method: "POST",
      headers: { accept: "application/json", "content-type": "application/json", "x-request-id": "req_1" },
      body,
      redirect: "manual",
      signal: abort.signal,
    });
    const bytes = await answer.arrayBuffer();
    clearTimeout(timer);
    const headers = {
      "content-type": "application/json",
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
      "x-ratelimit-limit-requests": "100000000",
      "x-ratelimit-remaining-requests": "99999999",
      "x-ratelimit-reset-requests": "1",
      "x-ratelimit-limit-tokens": "100000000000",
      "x-ratelimit-remaining-tokens": "99999999999",
      "x-ratelimit-reset-tokens": "1",
      "server-timing": "auth;dur=0, admit;dur=0, route;dur=0, upstream;dur=1",
      "x-comind-backend": "gpu-0",
      "x-request-id": String(head.length),
    };
    return new Response(bytes, { status: answer.status, headers });
  },
};
