/**
 * Online reads: the newest values of one key or of many, typed by the service, with a status for each feature.
 *
 *     npm run -s build && npx tsx examples/05_online.ts
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, entity, fromRows, ManualClock, service, view } from "varve";

const logins = fromRows([
  { user: 1n, at: new Date("2001-01-01T08:00Z"), city: "Oslo", devices: 1 },
  { user: 2n, at: new Date("2001-01-04T08:00Z"), city: "Rome", devices: 2 },
  { user: 3n, at: new Date("2001-01-04T09:00Z"), city: null, devices: null },
], {
  eventTimestamp: "at",
  schema: { user: "int64", at: "timestamp", city: "string", devices: "int32" },
});
const user = entity("user", { user: "int64" });
const lastLogin = view("last_login", logins.by(user), {
  schedule: "1d",
  start: "2001-01-01",
  ttl: "3d",
  online: true,
  defaults: { devices: 0 }, // where nothing is known; the same in training and serving
});
const model = service("login_model", [lastLogin]);

const folder = await mkdtemp(join(tmpdir(), "varve-"));
const clock = new ManualClock("2001-01-03");
const store = await connect({ path: folder, clock });
try {
  await (await store.publish(model)).apply();
  clock.set("2001-01-05"); // two days later: what has become due is computed and loaded
  await store.catchUp();

  // Typed: { city: string | null, devices: number }. The default has taken null away.
  const { city, devices } = await store.online(model, { user: 2n });
  console.log(`user 2 was in ${city} with ${devices} devices`);

  // Many keys in one look-up, answered in their order.
  const users = [{ user: 3n }, { user: 2n }, { user: 99n }];
  console.log(await store.online(model, users));

  // Why a value is not there: no row, too old, or no key to look up.
  const keys = [{ user: 1n }, { user: 2n }, { user: 99n }, { user: null }];
  const { features, answers } = await store.onlineDetails(model, keys);
  console.log(`\nfeatures: ${features.map(({ name, type }) => `${name} ${String(type)}`).join(", ")}`);
  for (const [i, { values, statuses }] of answers.entries()) {
    console.log(`user ${keys[i]!.user}: ${statuses[0]} ${JSON.stringify(values)}`);
  }

  // The time of the request is now, unless it is said: on the 4th, user 1's login still counted.
  const [before] = (await store.onlineDetails(model, [{ user: 1n }], { at: "2001-01-04T07:00Z" })).answers;
  console.log(`user 1 on the 4th: ${before!.statuses[0]} ${JSON.stringify(before!.values)}`);

  // A key that is left out is an error that says which; only null means "there is none".
  await store.online("login_model", {}).catch((error: Error) => console.log(`\n${error.message}`));
} finally {
  await store.close();
  await rm(folder, { recursive: true });
}
