/** Removes what nothing refers to: old files, data of deleted versions, collections that are served no more. */
import { checkOptions, type OptionNames } from "./errors.ts";
import { Collections } from "./materialize/collections.ts";
import { retention } from "./materialize/run.ts";
import { runJobs } from "./store_jobs.ts";
import type { StoreParts } from "./store_parts.ts";
import { type Duration, durationToMicros } from "./time.ts";

/** How much is removed. */
export interface VacuumOptions {
  /** Really remove it; otherwise only tell. @default false */
  readonly apply?: boolean;
  /** Files that a commit of this last time refers to are kept, for readers and for time travel. @default "7d" */
  readonly retention?: Duration;
}

const vacuumOptions: OptionNames<VacuumOptions> = { apply: true, retention: true };

/** What was found and, if applied, removed. */
export interface Vacuumed {
  /** Whether it was removed. */
  readonly applied: boolean;
  /** Objects of tables that are registered. */
  readonly objects: number;
  /** Their size. */
  readonly bytes: number;
  /** Versions that are not registered any more and still had data. */
  readonly deletedVersions: readonly { readonly view: string; readonly version: number }[];
  /** Values in collections that were served no more. */
  readonly values: number;
}

/** See the file's sentence. */
export async function vacuum(parts: StoreParts, options: VacuumOptions = {}): Promise<Vacuumed> {
  checkOptions("Cannot vacuum", options, vacuumOptions);
  const { apply = false } = options;
  const state = await parts.registry.state();
  const now = parts.clock.now();
  const kept = options.retention === undefined
    ? retention
    : durationToMicros(options.retention, "retention", { allowZero: true });
  const settings = { retentionMs: Number(kept / 1000n), now: Number(now / 1000n), apply };
  let [objects, bytes, values] = [0, 0, 0];
  const registered = new Set<string>();
  for (const view of Object.values(state.views)) {
    for (const { version, definition } of view.versions) {
      registered.add(`${view.name}/${version}`);
      const found = await parts.table(view.name, version).vacuum(settings);
      objects += found.keys.length;
      bytes += found.bytes;
      if (apply && definition.online) values += await sweep(parts, view.name, version);
    }
  }
  const deletedVersions = (await storedVersions(parts)).filter(({ view, version }) =>
    !registered.has(`${view}/${version}`)
  );
  if (apply && deletedVersions.length > 0) {
    await runJobs(
      parts,
      deletedVersions.map(({ view, version }) => ({
        job: { name: "clean", workspace: parts.workspace, view, version },
      })),
    );
  }
  return { applied: apply, objects, bytes, deletedVersions, values };
}

async function sweep(parts: StoreParts, view: string, version: number): Promise<number> {
  const { objects, clock, workspace } = parts;
  return await new Collections({ objects, online: await parts.online(), clock, workspace }, view, version).sweep();
}

/** Versions that have a table or a note of a collection, in order of their names. */
async function storedVersions(parts: StoreParts): Promise<{ view: string; version: number }[]> {
  const found = new Map<string, { view: string; version: number }>();
  for (const folder of ["views", "online"]) {
    const prefix = `${parts.workspace}/${folder}/`;
    let after: string | undefined;
    for (;;) {
      const key = await firstKey(parts, prefix, after);
      if (key === undefined) break;
      const [view = "", version = ""] = key.slice(prefix.length).split("/");
      if (/^\d+$/.test(version)) found.set(`${view}/${version}`, { view, version: Number(version) });
      // "0" comes right after "/": the next key is of another version.
      after = `${prefix}${view}/${version}0`;
    }
  }
  return [...found.values()];
}

async function firstKey(parts: StoreParts, prefix: string, after: string | undefined): Promise<string | undefined> {
  for await (const { key } of parts.objects.list(prefix, after === undefined ? {} : { after })) return key;
  return undefined;
}
