// Settings: a wrong one stops the start with a sentence that names it, and shows no secret.
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";

import { EMAIL, openScene } from "./scene.mjs";

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
    ["BACKENDS", backend({ weight: -1 }), "with a weight below 0"],
    ["BACKENDS", backend({ weight: 101 }), "with a weight over 100"],
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
    ["ADMIN_PASSWORD", "password1234", "that everybody uses"],
    ["SERVICE_TOKEN", SHORT, "of 31 bytes"],
    ["ORGANIZATION", "two words", "of two words"],
    ["API_TOKEN_ORGANIZATIONS", "main, two words", "wrong in its second entry"],
    ["REGISTRATION", "maybe", "neither open nor closed"],
    ["REGISTRATION", "open", "open without a mailer"],
    ["MAIL_URL", "mail.example.com", "without a scheme"],
    ["MAIL_URL", "smtp://user:password@mail.example.com", "with a password in it"],
    ["MAIL_URL", "smtp+plain://mail.example.com", "in the clear to another machine", { MAIL_FROM: EMAIL }],
    [
      "MAIL_URL",
      "http://mail.example.com/send",
      "in the clear to another machine's API",
      { MAIL_FROM: EMAIL },
    ],
    ["SSO_TENANTS", "../evil", "with a path in it"],
    ["SSO_CLIENT_ID", undefined, "missing while SSO_TENANTS is there", { SSO_TENANTS: "t" }],
    [
      "SSO_AUTHORITY",
      "http://login.example.com",
      "in the clear to another machine",
      { SSO_TENANTS: "t", SSO_CLIENT_ID: "c" },
    ],
    ["MAIL_FROM", undefined, "missing while MAIL_URL is there", { MAIL_URL: "smtp://mail.example.com" }],
    [
      "MAIL_PASSWORD",
      undefined,
      "missing while MAIL_USERNAME is there",
      { MAIL_URL: "smtp://mail.example.com", MAIL_FROM: "a@example.com", MAIL_USERNAME: "u" },
    ],
    ["ACCESS_TOKEN_SECS", "0", "0"],
    ["ACCESS_TOKEN_SECS", "86401", "over a day"],
    ["REFRESH_TOKEN_SECS", "31536001", "over a year"],
    ["REFRESH_GRACE_MS", "60001", "over a minute"],
    ["CODE_LIFETIME_SECS", "0", "0"],
    ["CODE_TRIES", "101", "over 100"],
    ["MAX_SESSIONS", "0", "0"],
    ["MAX_API_TOKENS", "1001", "over 1000"],
    ["ADMISSION_LEASE_MS", "60001", "over a minute"],
    ["PUBLIC_RATE_LIMIT_RPM", "many", "a word"],
    ["PASSWORD_RATE_LIMIT_RPM", "0", "0"],
    ["MAIL_LIMIT_PER_HOUR", "0", "0"],
    ["ALLOWED_ORIGINS", "https://example.com/path", "with a path"],
    ["ALLOWED_ORIGINS", "https://example.com/", "with a slash at the end"],
    ["ALLOWED_ORIGINS", "example.com", "without a scheme"],
    ["ALLOWED_ORIGINS", "*", "a star"],
    ["ALLOWED_ORIGINS", "https://*.example.com", "with a star in it"],
    ["ALLOWED_ORIGINS", "https://good.example, nonsense", "wrong in its second entry"],
  ];
  for (const [name, value, how, more] of wrong) {
    test(`with ${name} ${how}`, async () => {
      await assert.rejects(
        async () => (await openScene({ settings: { [name]: value, ...more } })).close(),
        (failure) => {
          assert.match(failure.message, new RegExp(`\\b${name}\\b`));
          assert.doesNotMatch(failure.message, /panicked|wasm-function|\.rs:\d/);
          if (/(SECRET|PASSWORD|TOKEN)$/.test(name) && value)
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
        ACCESS_TOKEN_SECS: "3600",
        REFRESH_TOKEN_SECS: "2592000",
        REFRESH_GRACE_MS: "10000",
        CODE_LIFETIME_SECS: "900",
        CODE_TRIES: "5",
        MAX_SESSIONS: "100",
        MAX_API_TOKENS: "25",
        ADMISSION_LEASE_MS: "1000",
        PUBLIC_RATE_LIMIT_RPM: "60",
        PASSWORD_RATE_LIMIT_RPM: "300",
        MAIL_LIMIT_PER_HOUR: "5",
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
