// Each code of the contract has a sentence for people.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

globalThis.navigator ??= { onLine: true };
const { failureOf, isSignedOut, OFFERS, problemOf } = await import("../../www/src/failure.js");

/** What this page never asks for, or never shows as a failure. */
const NEVER_MET = new Set(["aborted", "headers_too_large", "method_not_allowed", "unsupported_media_type"]);

const source = readFileSync(new URL("../../src/error.rs", import.meta.url), "utf8");
const codes = Array.from(source.matchAll(/^ {4}\w+ = "(\w+)", \d+, \w+, \w+;$/gm), ([, code]) => code);
const unknown = failureOf(new Error("?")).sentence;

test("every code that the page can meet has a sentence of its own", () => {
  assert.ok(codes.length >= 28, `${codes.length} codes in src/error.rs`);
  const silent = codes.filter((code) => failureOf({ code }).sentence === unknown);
  assert.deepEqual(new Set(silent), NEVER_MET);
});

test("every offer is a button that exists, and a dead session offers to sign in", () => {
  for (const code of codes) {
    const { offer } = failureOf({ code });
    assert.ok(offer === undefined || offer in OFFERS, `${code} offers ${offer}`);
    assert.equal(offer === "signIn", isSignedOut({ code }), code);
  }
});

test("the server's own words are shown where they help, and nowhere else", () => {
  const message = "`temperature` must be between 0 and 2.";
  assert.equal(failureOf({ code: "bad_request", message }).detail, message);
  assert.equal(problemOf({ code: "bad_request", message }), message);
  assert.equal(failureOf({ code: "internal_error", message }).detail, "");
  assert.equal(
    problemOf({ code: "internal_error", message }),
    failureOf({ code: "internal_error" }).sentence,
  );
});

test("the wait is what the server named, and never below zero", () => {
  assert.equal(failureOf({ code: "rate_limited", retryAfterMs: 12_000 }).waitMs, 12_000);
  assert.equal(failureOf({ code: "rate_limited", retryAfterMs: null }).waitMs, 0);
  assert.equal(failureOf({ code: "rate_limited", retryAfterMs: -1 }).waitMs, 0);
});
