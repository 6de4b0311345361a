/** What a store says of a view that is shown: where it stands, and what its table holds where that is quick to say. */
import type { ViewDefinition } from "./define/definitions.ts";
import type { ViewFacts } from "./define/view_facts.ts";
import type { ViewProfile } from "./define/view_profile.ts";
import { viewDifferences } from "./registry/differences.ts";
import { viewProfile } from "./retrieve/view_profile.ts";
import type { StoreParts } from "./store_parts.ts";
import { type VersionStatus, viewStatusOf } from "./store_status.ts";
import { formatBytes, formatCount } from "./text.ts";

/** A larger table is profiled only when somebody asks for it: rows, or tiles, which cost more. */
const cheapRows = { attributes: 1_000_000, aggregates: 20_000 } as const;
const shownRows = 20_000;
/** Whoever looks at a view does not wait for longer. */
const patienceMs = 1_000;

/** See the file's sentence. */
export async function storeViewFacts(parts: StoreParts, definition: ViewDefinition): Promise<ViewFacts> {
  const status = await viewStatusOf(parts, definition.name);
  if (!status) return { lines: [`not published in workspace ${parts.workspace}`] };
  const version = status.versions.find((each) => each.version === (status.serving ?? status.building));
  if (!version) return { lines: ["published, nothing is computed yet"] };
  const building = status.serving !== undefined && status.building !== undefined
    ? [`version ${status.building} is being computed`]
    : [];
  const lines = [[...versionFacts(version), ...building].join(" · ")];
  const { views } = await parts.registry.state();
  const newest = views[definition.name]?.versions.at(-1);
  const stored = views[definition.name]?.versions.find((each) => each.version === version.version)?.definition;
  if (!newest || !stored) return { lines };
  const differences = viewDifferences(newest.definition, definition);
  if (differences.length > 0) {
    lines.push(`not published as it is here: ${differences.map(({ text }) => text.replaceAll("\n", " ")).join("; ")}`);
  }
  // What another definition gave would be taken for what this one gives.
  if (viewDifferences(stored, definition).length > 0) return { lines };
  const profile = await cheapProfile(parts, stored, version);
  return profile ? { lines, profile } : { lines };
}

function versionFacts(status: VersionStatus): string[] {
  const { version, state, slicesDone, slicesTotal, lateSlices = 0, rows, bytes, upTo, behind, online, problem } =
    status;
  const open = slicesTotal - slicesDone;
  return [
    `version ${version} ${state === "serving" ? "serves" : "is being computed"}`,
    ...(upTo === undefined ? [] : [`up to ${upTo.replace(/T00:00:00Z$/, "")}${behind ? `, ${behind} ago` : ""}`]),
    `${formatCount(rows)} rows, ${formatBytes(bytes)}`,
    ...(open > 0 ? [`${formatCount(open)} slices are due`] : []),
    ...(lateSlices > 0 ? [`${formatCount(lateSlices)} slices got late rows`] : []),
    ...(online === undefined ? [] : [online.upToDate ? "online" : "online values are behind"]),
    ...(problem === undefined ? [] : [problem]),
  ];
}

async function cheapProfile(
  parts: StoreParts,
  definition: ViewDefinition,
  { version, state, rows }: VersionStatus,
): Promise<ViewProfile | undefined> {
  if (state !== "serving" || rows > cheapRows[definition.mode]) return undefined;
  const table = parts.table(definition.name, version);
  const signal = AbortSignal.timeout(patienceMs);
  const options = { maxRows: shownRows, entities: 0, now: parts.clock.now(), signal };
  return await viewProfile(await parts.engine(), { definition, version }, table, options)
    .catch(() => undefined);
}
