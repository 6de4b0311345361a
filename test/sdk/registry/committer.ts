/** A process that commits to a registry as fast as it can: node --import tsx committer.ts FOLDER AUTHOR COUNT; prints its outcomes as JSON. */
import { entity } from "../../../sdk/define/entity.ts";
import { VarveError } from "../../../sdk/errors.ts";
import { openRegistry } from "../../../sdk/registry/registry.ts";
import { localObjectStore } from "../../../sdk/storage/object_local.ts";
import { ManualClock } from "../../../sdk/time.ts";

const [folder = "", author = "", count = "0"] = process.argv.slice(2);

async function main(): Promise<void> {
  const store = localObjectStore(folder);
  const registry = openRegistry({ store, workspace: "prod", author, clock: new ManualClock("2001-03-01") });
  const outcomes: string[] = [];
  for (let i = 0; i < Number(count); i++) {
    // Half of the changes are about one shared thing, made for what was last seen; the other half are about things of its own.
    const name = i % 2 ? "shared" : `${author}_${i}`;
    const action = {
      kind: "putEntity",
      entity: entity(name, { id: "string" }, { description: `${author} ${i}` }).definition,
    } as const;
    try {
      const change = await registry.commit([action], { expectedRevision: registry.cached.revision, reason: `${i}` });
      outcomes.push(`${change.revision}:${change.id}`);
    } catch (error) {
      if (!(error instanceof VarveError) || error.code !== "CONFLICT") throw error;
      outcomes.push("CONFLICT");
    }
    if (outcomes.at(-1) === "CONFLICT") await registry.state();
  }
  process.stdout.write(JSON.stringify(outcomes));
}

await main();
