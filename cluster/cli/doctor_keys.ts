/** What doctor says of API keys. */
import { durationToMicros, messageOf, systemClock, toMicros } from "varve";
import type { Micros } from "varve";
import { openKeys } from "varve/serving";
import type { ApiKey } from "varve/serving";
import type { Config } from "../config.ts";
import { placesOf } from "../settings.ts";
import type { Finding } from "./doctor.ts";

const name = "api keys";
/** How long before its end a key is worth a word. */
const soon = durationToMicros("14d");

/** Reads the keys of the store. */
export async function checkKeys(config: Config): Promise<Finding> {
  const keys = openKeys({ ...placesOf(config), author: config.author, clock: systemClock });
  try {
    const state = await keys.ring.state(AbortSignal.timeout(30_000));
    return keysFinding([...state.keys.values()], config, systemClock.now());
  } catch (error) {
    return { name, state: "problem", detail: messageOf(error), fix: "see the object store above" };
  } finally {
    await keys.close();
  }
}

/** What is to be said of these keys now. */
export function keysFinding(
  all: readonly ApiKey[],
  { server, workspace }: Pick<Config, "server" | "workspace">,
  now: Micros,
): Finding {
  const live = all.filter((key) =>
    key.revokedAt === undefined && (key.workspaces === "all" || key.workspaces.includes(workspace))
  );
  const left = (key: ApiKey) => toMicros(key.expiresAt!) - now;
  const ending = live.filter((key) => key.expiresAt !== undefined && left(key) <= soon);
  const count = `${live.length} for workspace "${workspace}"`;
  if (server.auth === "off") {
    const detail = `${count}; not asked for (VARVE_AUTH=off): this computer alone may ask`;
    return { name, state: "ok", detail };
  }
  if (live.length === 0) {
    const detail = `none for workspace "${workspace}": \`varve serve\` refuses every request`;
    return { name, state: "warning", detail, fix: "run `varve keys create NAME`" };
  }
  if (ending.length === 0) return { name, state: "ok", detail: count };
  const words = ending.map((key) => `"${key.name}" ${left(key) <= 0n ? "has expired" : "expires"} (${key.expiresAt})`);
  return {
    name,
    state: "warning",
    detail: `${count}; ${words.join(", ")}`,
    fix: "run `varve keys rotate NAME --expires 90d` and give clients the new text, or revoke it",
  };
}
