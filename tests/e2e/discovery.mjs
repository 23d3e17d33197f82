// What each kind of backend says about itself. The shapes are those that real servers gave.

const created = 1_795_378_080;

function json(value, status = 200) {
  return { status, type: "application/json", body: JSON.stringify(value) };
}

const list = (models, extra) =>
  json({ object: "list", data: models.map((id) => ({ id, object: "model", created, ...extra })) });

/** vLLM has the routes that its one model is for: the wrong method shows which. */
const route = (isThere) =>
  isThere ? json({ detail: "Method Not Allowed" }, 405) : json({ detail: "Not Found" }, 404);

const KINDS = {
  openai: {
    "GET /v1/models": ({ models }) => list(models, { owned_by: "somebody" }),
  },
  vllm: {
    "GET /v1/models": ({ models }) =>
      list(models, { owned_by: "vllm", root: "/models/x", parent: null, max_model_len: 2048 }),
    "GET /version": () => json({ version: "0.32.0" }),
    "GET /health": () => ({ status: 200, type: "text/plain", body: "" }),
    "GET /v1/chat/completions": ({ capabilities }) => route(!capabilities.includes("embeddings")),
    "GET /v1/completions": ({ capabilities }) => route(!capabilities.includes("embeddings")),
    "GET /v1/embeddings": ({ capabilities }) => route(capabilities.includes("embeddings")),
    "GET /metrics": ({ metrics }) => ({ status: 200, type: "text/plain", body: metrics }),
  },
  llamacpp: {
    "GET /v1/models": ({ models, capabilities }) =>
      json({
        models: models.map((name) => ({ name, model: name, type: "model", capabilities: ["completion"] })),
        object: "list",
        data: models.map((id) => ({
          id,
          object: "model",
          created,
          owned_by: "llamacpp",
          architecture: {
            input_modalities: capabilities.includes("vision") ? ["text", "image"] : ["text"],
            output_modalities: ["text"],
          },
          meta: { n_ctx: 2048, n_params: 134_515_008 },
        })),
      }),
    "POST /v1/embeddings": ({ capabilities }) =>
      capabilities.includes("embeddings")
        ? json({ error: { code: 400, message: '"input" or "content" must be provided' } }, 400)
        : json({ error: { code: 501, message: "This server does not support embeddings." } }, 501),
    "GET /props": ({ models, capabilities }) =>
      json({
        default_generation_settings: { n_ctx: 2048 },
        total_slots: 1,
        model_alias: models[0],
        model_path: "model.gguf",
        modalities: { vision: capabilities.includes("vision"), audio: false },
        chat_template: capabilities.includes("tools")
          ? "{% if tools %}{{ tools }}{% endif %}{{ messages }}"
          : "{{ messages }}",
        chat_template_caps: {
          supports_tools: capabilities.includes("tools"),
          supports_tool_calls: capabilities.includes("tools"),
        },
        build_info: "b11549",
      }),
    "GET /health": () => json({ status: "ok" }),
    "GET /metrics": () => ({ status: 200, type: "text/plain", body: "llamacpp:requests_processing 0\n" }),
  },
  ollama: {
    "GET /v1/models": ({ models }) => list(models, { owned_by: "library" }),
    "GET /api/tags": ({ models }) =>
      json({
        models: models.map((name) => ({ name, model: name, modified_at: "2026-11-22T20:43:14Z", size: 1 })),
      }),
    "GET /api/version": () => json({ version: "0.9.3" }),
    "POST /api/show": ({ capabilities }) =>
      json({ details: { family: "llama" }, model_info: {}, capabilities: ["completion", ...capabilities] }),
    "GET /": () => ({ status: 200, type: "text/plain", body: "Ollama is running" }),
  },
};

// What any gateway may ask any server, to find out which kind it is.
const QUESTIONS = new Set(Object.values(KINDS).flatMap((kind) => Object.keys(kind)));

/** The answer to a question about the backend itself; `undefined` for a request that is not one. */
export function discover(kind, question, facts) {
  const answer = KINDS[kind][question];
  if (answer) return answer(facts);
  return QUESTIONS.has(question) ? json({ detail: "Not Found" }, 404) : undefined;
}
