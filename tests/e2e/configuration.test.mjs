// Settings: a wrong one stops the start with a sentence that names it, and shows no secret.
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";

import { openScene } from "./scene.mjs";

const backend = (changes) =>
  JSON.stringify([{ id: "main", provider: "openai", url: "http://127.0.0.1:9", ...changes }]);
const SHORT = "31-bytes-are-one-too-few-for-it";
const LONG = "32-bytes-are-just-enough-for-it!";

describe("the edge does not start", () => {
  const wrong = [
    ["BACKENDS", undefined, "missing"],
    ["BACKENDS", "", "empty"],
    ["BACKENDS", "nonsense", "not JSON"],
    ["BACKENDS", "{}", "not a list"],
    ["BACKENDS", `["http://127.0.0.1:9"]`, "a list of something else"],
    ["BACKENDS", backend({ id: undefined }), "with a backend without an id"],
    ["BACKENDS", backend({ id: "" }), "with an empty id"],
    ["BACKENDS", backend({ provider: "skynet" }), "with an unknown provider"],
    ["BACKENDS", backend({ provider: undefined }), "without a provider"],
    ["BACKENDS", backend({ url: undefined }), "without a url"],
    ["BACKENDS", backend({ url: "not a url" }), "with a bad url"],
    ["BACKENDS", backend({ url: "ftp://127.0.0.1/" }), "with a url of another scheme"],
    ["BACKENDS", backend({ colour: "red" }), "with an unknown member"],
    [
      "BACKENDS",
      backend({ models: { m: { capabilities: { telepathy: true } } } }),
      "with an unknown capability",
    ],
    ["BACKENDS", JSON.stringify([...JSON.parse(backend()), ...JSON.parse(backend())]), "with an id twice"],
    ["BACKENDS", backend({ api_key: "KEY_THAT_NOBODY_SET" }), "naming a secret that is not there"],
    ["JWT_SECRET", undefined, "missing"],
    ["JWT_SECRET", "", "empty"],
    ["JWT_SECRET", SHORT, "of 31 bytes"],
    ["JWT_SECRET_PREVIOUS", SHORT, "of 31 bytes"],
    ["ADMIN_EMAIL", "nobody", "not an address"],
    ["ADMIN_PASSWORD", "elevenchars", "of 11 characters"],
    ["ADMIN_PASSWORD", "x".repeat(129), "of 129 characters"],
    ["ADMIN_PASSWORD", undefined, "missing while ADMIN_EMAIL is there"],
    ["RATE_LIMIT_RPM", "abc", "not a number"],
    ["RATE_LIMIT_RPM", "-1", "negative"],
    ["RATE_LIMIT_RPM", "1.5", "not whole"],
    ["RATE_LIMIT_TPM", "1e3", "not plain digits"],
    ["HEARTBEAT_MS", "0", "0"],
    ["BODY_LIMIT_BYTES", "0", "0"],
    ["BODY_LIMIT_BYTES", "16MB", "with a unit"],
    ["FIRST_BYTE_TIMEOUT_MS", "0", "0"],
    ["STALL_TIMEOUT_MS", "never", "a word"],
    ["CATALOG_TTL_MS", "-5", "negative"],
    ["PROBE_TIMEOUT_MS", "0", "0"],
    ["EVENT_LIMIT_BYTES", "0", "0"],
    ["LOGIN_FREE_FAILURES", "x", "not a number"],
    ["LOGIN_MAX_DELAY_SECS", "99999999999999999999", "too large to be a number"],
    ["ALLOWED_ORIGINS", "https://example.com/path", "with a path"],
    ["ALLOWED_ORIGINS", "https://example.com/", "with a slash at the end"],
    ["ALLOWED_ORIGINS", "example.com", "without a scheme"],
    ["ALLOWED_ORIGINS", "*", "a star"],
    ["ALLOWED_ORIGINS", "https://*.example.com", "with a star in it"],
    ["ALLOWED_ORIGINS", "https://good.example, nonsense", "wrong in its second entry"],
  ];
  for (const [name, value, how] of wrong) {
    test(`with ${name} ${how}`, async () => {
      await assert.rejects(
        async () => (await openScene({ settings: { [name]: value } })).close(),
        (failure) => {
          assert.match(failure.message, new RegExp(`\\b${name}\\b`));
          assert.doesNotMatch(failure.message, /panicked|wasm-function|\.rs:\d/);
          if (/SECRET|PASSWORD/.test(name) && value)
            assert.ok(!`${failure.message}${failure.log}`.includes(value), "the secret is shown");
          return true;
        },
      );
    });
  }
});

describe("the edge starts", () => {
  const right = [
    ["JWT_SECRET of 32 bytes", { JWT_SECRET: LONG }],
    [
      "ALLOWED_ORIGINS with blanks around its entries",
      { ALLOWED_ORIGINS: " https://a.example , http://localhost:5173 " },
    ],
    ["ALLOWED_ORIGINS empty", { ALLOWED_ORIGINS: "" }],
    ["neither ADMIN_EMAIL nor ADMIN_PASSWORD", { ADMIN_EMAIL: undefined, ADMIN_PASSWORD: undefined }],
    [
      "a backend under a path, with a slash at the end",
      { BACKENDS: backend({ url: "https://gpu.example.com/engine/" }) },
    ],
    ["a backend without models or key", { BACKENDS: backend() }],
    [
      "every number at its default",
      {
        HEARTBEAT_MS: "15000",
        BODY_LIMIT_BYTES: "16777216",
        FIRST_BYTE_TIMEOUT_MS: "300000",
        STALL_TIMEOUT_MS: "120000",
        CATALOG_TTL_MS: "10000",
        PROBE_TIMEOUT_MS: "3000",
        EVENT_LIMIT_BYTES: "1048576",
        LOGIN_FREE_FAILURES: "5",
        LOGIN_MAX_DELAY_SECS: "900",
      },
    ],
  ];
  for (const [title, settings] of right) {
    let scene;
    after(() => scene?.abandon());
    test(`with ${title}`, async () => {
      scene = await openScene({ settings });
      assert.deepEqual((await scene.anonymous.get("/health")).json, { status: "ok" });
      await scene.close();
      scene = null;
    });
  }
});
