// Writes docs/grafana.json: the dashboard, from one line a panel. `node scripts/dashboard.mjs`
import { writeFileSync } from "node:fs";

const SUM = (name, by, range = "$__rate_interval") => `sum by (${by}) (rate(${name}[${range}]))`;
const QUANTILE = (q, name, by = "") =>
  `histogram_quantile(${q}, sum by (le${by && `, ${by}`}) (rate(${name}_bucket[$__rate_interval])))`;

/** Title, unit, then queries with their legends. */
const PANELS = [
  ["Requests by status", "reqps", [SUM("comind_requests_total", "status"), "{{status}}"]],
  [
    "Failures by code",
    "reqps",
    ['sum by (code) (rate(comind_requests_total{code!=""}[$__rate_interval]))', "{{code}}"],
  ],
  ["Requests by route", "reqps", [SUM("comind_requests_total", "route"), "{{route}}"]],
  [
    "Duration of chat completions",
    "s",
    [
      'histogram_quantile(0.5, sum by (le) (rate(comind_request_duration_seconds_bucket{route="/v1/chat/completions"}[$__rate_interval])))',
      "p50",
    ],
    [
      'histogram_quantile(0.95, sum by (le) (rate(comind_request_duration_seconds_bucket{route="/v1/chat/completions"}[$__rate_interval])))',
      "p95",
    ],
  ],
  [
    "Time to the first byte",
    "s",
    [QUANTILE(0.5, "comind_first_byte_seconds", "provider"), "{{provider}} p50"],
    [QUANTILE(0.95, "comind_first_byte_seconds", "provider"), "{{provider}} p95"],
  ],
  ["Tokens by model", "short", [SUM("comind_model_tokens_total", "model, type"), "{{model}} {{type}}"]],
  ["Open streams", "short", ["sum(comind_open_streams)", "open"]],
  [
    "Under way at each backend",
    "short",
    ["sum by (backend) (comind_backend_requests_under_way)", "{{backend}}"],
  ],
  [
    "What became of requests at backends",
    "reqps",
    [SUM("comind_backend_requests_total", "backend, outcome"), "{{backend}} {{outcome}}"],
  ],
  [
    "Breakers that are not closed",
    "short",
    ['comind_backend_breaker_state{state!="closed"} == 1', "{{backend}} {{state}}"],
  ],
  ["Sent once more", "reqps", ["sum(rate(comind_retries_total[$__rate_interval]))", "retries"]],
  ["Limits hit", "reqps", [SUM("comind_limits_hit_total", "limit"), "{{limit}}"]],
  [
    "Questions to storage",
    "reqps",
    [SUM("comind_object_calls_total", "namespace, outcome"), "{{namespace}} {{outcome}}"],
  ],
  ["Tokens charged", "short", [SUM("comind_tokens_total", "backend, source"), "{{backend}} {{source}}"]],
  ["WebAssembly's memory", "bytes", ["max(comind_wasm_memory_bytes)", "bytes"]],
  [
    "Spans that no collector took",
    "short",
    ["sum(rate(comind_spans_dropped_total[$__rate_interval]))", "dropped"],
  ],
];

const datasource = { type: "prometheus", uid: "${datasource}" };
const panels = PANELS.map(([title, unit, ...queries], at) => ({
  id: at + 1,
  title,
  type: "timeseries",
  datasource,
  gridPos: { h: 8, w: 12, x: (at % 2) * 12, y: Math.floor(at / 2) * 8 },
  fieldConfig: { defaults: { unit, min: 0 }, overrides: [] },
  targets: queries.map(([expr, legendFormat], n) => ({
    datasource,
    expr,
    legendFormat,
    refId: String.fromCharCode(65 + n),
  })),
}));

writeFileSync(
  new URL("../docs/grafana.json", import.meta.url),
  `${JSON.stringify(
    {
      title: "co-mind edge",
      uid: "comind-edge",
      schemaVersion: 39,
      tags: ["co-mind"],
      time: { from: "now-3h", to: "now" },
      refresh: "30s",
      templating: { list: [{ name: "datasource", type: "datasource", query: "prometheus" }] },
      panels,
    },
    null,
    1,
  )}\n`,
);
