// The limit: a worker that forwards and does nothing else.
export default {
  fetch(request, env) {
    const { pathname } = new URL(request.url);
    return fetch(env.UPSTREAM + pathname, request);
  },
};
