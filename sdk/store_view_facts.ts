/** What a store says of a view that is shown: where it stands, and what it holds as far as that is quick to say. */
import type { ViewDefinition } from "./define/definitions.ts";
import type { ViewFacts } from "./define/view_facts.ts";
import { viewDifferences } from "./registry/differences.ts";
import { viewGlance } from "./retrieve/view_glance.ts";
import type { StoreParts } from "./store_parts.ts";
import { type VersionStatus, viewStatusOf } from "./store_status.ts";
import { formatBytes, formatCount } from "./text.ts";

/** See the file's sentence. What is not stored like this is looked up in the source. */
export async function storeViewFacts(parts: StoreParts, definition: ViewDefinition): Promise<ViewFacts> {
  const { lines, version } = await standing(parts, definition);
  const { name } = definition;
  const glance = await viewGlance(await parts.engine(), { definition, version: version ?? 0 }, {
    now: parts.clock.now(),
    table: version === undefined ? undefined : parts.table(name, version),
  });
  return { ...glance, lines: [...lines, ...glance.lines] };
}

/** How the view stands, and the version that is stored of this very definition and complete. */
interface Standing {
  readonly lines: readonly string[];
  readonly version?: number;
}

async function standing(parts: StoreParts, definition: ViewDefinition): Promise<Standing> {
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
  return version.state === "serving" ? { lines, version: version.version } : { lines };
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
