// Power failures with writes in flight: what was acknowledged is there, and nothing is half there.
import assert from "node:assert/strict";
import { after, test } from "node:test";

import { openScene } from "./scene.mjs";

const SERVICE_TOKEN = "service-token-of-the-durability-suite-0123456789";
const ROUNDS = 5;
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

let scene;
after(() => scene?.abandon());
let count = 0;

test(`${ROUNDS} power failures lose nothing that was acknowledged`, async (t) => {
  scene = await openScene({
    settings: {
      SERVICE_TOKEN,
      LOGIN_FREE_FAILURES: "1000",
      PASSWORD_RATE_LIMIT_RPM: "100000",
      MAX_API_TOKENS: "1000",
    },
  });
  scene.conceal(SERVICE_TOKEN);
  const at = (token) => scene.anonymous.as(token);
  const password = scene.secret("password");
  const login = (email, secret = password) =>
    scene.anonymous.post("/v1/auth/login", { email, password: secret });
  const users = "/v1/auth/admin/users";
  const owner = (await at(SERVICE_TOKEN).post(users, { email: "owner@example.com", password })).json;
  let session = (await login("owner@example.com")).json.access_token;

  /** What is known to hold: each is asked again after every failure. */
  const facts = [];
  const promise = (what, check) => facts.push({ what, check });
  /** Whether an answer came; without one, either may be true. */
  const attempt = async (work) => {
    try {
      return await work();
    } catch {
      return null;
    }
  };
  const status = async (token) => (await at(token).get("/v1/auth/me")).status;

  const jobs = {
    async create() {
      const name = `token ${(count += 1)}`;
      const made = await attempt(() => at(session).post("/v1/api-tokens", { name, scopes: ["models:read"] }));
      if (made?.status !== 201) return;
      promise(`${name} works`, async () => assert.equal(await status(made.json.token), 200));
    },
    async revoke() {
      const made = await attempt(() =>
        at(session).post("/v1/api-tokens", { name: `token ${(count += 1)}`, scopes: ["models:read"] }),
      );
      if (made?.status !== 201) return;
      const gone = await attempt(() => at(session).delete(`/v1/api-tokens/${made.json.id}`));
      if (gone?.status === 204)
        promise("what was revoked is", async () => assert.equal(await status(made.json.token), 401));
    },
    async rotate() {
      const made = await attempt(() =>
        at(session).post("/v1/api-tokens", { name: `token ${(count += 1)}`, scopes: ["models:read"] }),
      );
      if (made?.status !== 201) return;
      const { id, name, token } = made.json;
      const next = await attempt(() => at(session).post(`/v1/api-tokens/${id}/rotate`));
      if (next?.status === 200) {
        promise("the old token is dead", async () => assert.equal(await status(token), 401));
        promise("the new token works", async () => assert.equal(await status(next.json.token), 200));
      } else {
        promise("one of two is active", async () => {
          const listed = (await at(session).get("/v1/api-tokens")).json;
          const active = listed.filter((one) => one.name === name && !one.is_revoked);
          assert.equal(active.length, 1, name);
        });
      }
    },
    async user() {
      const email = `user-${(count += 1)}@example.com`;
      const made = await attempt(() => at(SERVICE_TOKEN).post(users, { email, password }));
      if (made?.status === 201) {
        promise(`${email} signs in`, async () => assert.equal((await login(email)).status, 200));
      } else {
        let settled = false;
        promise(`${email} is whole, or free`, async () => {
          const again = await at(SERVICE_TOKEN).post(users, { email, password });
          assert.ok(settled ? again.status === 409 : [201, 409].includes(again.status), again.text);
          settled = true;
          assert.equal((await login(email)).status, 200);
        });
      }
    },
    async remove() {
      const email = `user-${(count += 1)}@example.com`;
      const made = await attempt(() => at(SERVICE_TOKEN).post(users, { email, password }));
      if (made?.status !== 201) return;
      const gone = await attempt(() => at(SERVICE_TOKEN).delete(`/v1/auth/users/${made.json.id}`));
      const isGone = gone?.status === 204;
      promise(`${email} is ${isGone ? "gone" : "gone, or can be deleted"}`, async () => {
        if (!isGone) {
          const again = await at(SERVICE_TOKEN).delete(`/v1/auth/users/${made.json.id}`);
          assert.ok([204, 404].includes(again.status), again.text);
        }
        assert.equal((await login(email)).status, 401);
        const listed = (await at(SERVICE_TOKEN).get(`${users}?email=${email}`)).json;
        assert.deepEqual(listed.data, []);
      });
    },
    async password() {
      const email = `user-${(count += 1)}@example.com`;
      const made = await attempt(() => at(SERVICE_TOKEN).post(users, { email, password }));
      if (made?.status !== 201) return;
      const newPassword = "another password";
      const body = { user_id: made.json.id, newPassword };
      const set = await attempt(() => at(SERVICE_TOKEN).post("/v1/auth/admin/set-password", body));
      promise("one password is right, the other wrong", async () => {
        const statuses = [(await login(email)).status, (await login(email, newPassword)).status];
        if (set?.status === 204) assert.deepEqual(statuses, [401, 200]);
        else assert.deepEqual(statuses.sort(), [200, 401]);
      });
    },
    async logout() {
      const pair = await attempt(() => login("owner@example.com"));
      if (pair?.status !== 200) return;
      const { access_token } = pair.json;
      const out = await attempt(() => scene.anonymous.post("/v1/auth/logout", { access_token }));
      if (out?.status === 204)
        promise("an ended session has", async () => assert.equal(await status(access_token), 401));
    },
  };

  for (let round = 0; round < ROUNDS; round += 1) {
    const inFlight = Object.values(jobs).flatMap((job) => [job(), job(), job()]);
    await pause(100 + 150 * round);
    await scene.stop({ abruptly: true });
    await Promise.all(inFlight);
    await scene.start();
    session = (await login("owner@example.com")).json.access_token;
    for (const { what, check } of facts) {
      await check().catch((failure) => {
        throw new Error(`after ${round + 1} failures: ${what}`, { cause: failure });
      });
    }
  }
  assert.equal((await at(session).get("/v1/auth/me")).json.id, owner.id);
  t.diagnostic(`${facts.length} facts after ${ROUNDS} power failures`);
  assert.ok(facts.length > 20, `${facts.length} facts`);
  await scene.close();
});
