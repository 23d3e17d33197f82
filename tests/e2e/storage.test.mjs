// What strangers cannot make the edge keep.
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { readdir } from "node:fs/promises";
import { test } from "node:test";

import { assertFailure, openScene } from "./scene.mjs";

/** A well-formed personal access token of a user who does not exist. */
function inventedToken() {
  const part = (bytes) => randomBytes(bytes).toString("base64url");
  const text = `cmnd_${part(16)}${part(8)}.sk_${part(32)}`;
  return text + createHash("sha256").update(text).digest().subarray(0, 4).toString("base64url");
}

test("invented tokens bring no account into being", async () => {
  const scene = await openScene({});
  try {
    await scene.signIn();
    const accounts = async () => {
      const files = await readdir(scene.dataDir, { recursive: true });
      return files.filter((file) => file.includes("comind-account")).sort();
    };
    const before = await accounts();
    assert.ok(before.length > 0);
    for (let n = 0; n < 20; n += 1) {
      const answer = await scene.anonymous.get("/v1/models", {
        headers: { authorization: `Bearer ${inventedToken()}` },
      });
      await assertFailure(answer, 401, "unauthorized");
    }
    assert.deepEqual(await accounts(), before);
  } finally {
    await scene.close();
  }
});
