/** What publishing would change, before anything has run. */
import type { Definition } from "../define/definitions.ts";
import type { Issue } from "../errors.ts";
import { VarveError } from "../errors.ts";
import { formatBytes, formatCount } from "../text.ts";
import type { Action, Change } from "./state.ts";

/** What happens to one thing. `newVersion`: its data changes and is built beside what serves. */
export type ChangeKind = "create" | "update" | "newVersion" | "unchanged" | "delete";

/** One field that differs, in words: `ttl: 7d -> 30d`. */
export interface Difference {
  /** Its path in the definition. */
  readonly field: string;
  /** What differs; several lines for a query. */
  readonly text: string;
}

/** Slices that have closed and are to be computed, with what is known of their cost. */
export interface Backfill {
  /** `[start, end)` as ISO text, in order of time. */
  readonly ranges: readonly { readonly start: string; readonly end: string }[];
  /** How many slices they are. */
  readonly slices: number;
  /** Rows of the source in these ranges, about. */
  readonly rows?: number;
  /** Bytes of the source to read, about. */
  readonly bytes?: number;
  /** How long it takes one process, about, where rows are known. */
  readonly seconds?: number;
}

/** What happens to one entity, view or service. */
export interface PlanItem {
  /** What kind of thing it is. */
  readonly kind: Definition["kind"];
  /** Its name. */
  readonly name: string;
  /** What happens to it. */
  readonly change: ChangeKind;
  /** Of a view: the version that the change makes or touches; a realtime view gets one with every change. */
  readonly version?: number;
  /** What differs from what is registered. */
  readonly differences: readonly Difference[];
  /** What has to be computed, if anything. */
  readonly backfill?: Backfill;
  /** What deserves a look first. */
  readonly warnings: readonly string[];
}

/** Commits the actions of a plan; the registry gives it. */
export type CommitPlan = (
  actions: readonly Action[],
  options: { readonly reason: string; readonly expectedRevision: number; readonly signal?: AbortSignal },
) => Promise<Change>;

/** How a plan is applied. */
export interface ApplyOptions {
  /** Why, in words; kept in the history. */
  readonly reason?: string;
  /** Gives up before the change is written. */
  readonly signal?: AbortSignal;
}

/** What a plan is made of. */
export interface PlanParts {
  /** The revision it was made for. */
  readonly revision: number;
  /** Everything that was compared. */
  readonly items: readonly PlanItem[];
  /** What to commit. */
  readonly actions: readonly Action[];
  /** How to commit it. */
  readonly commit?: CommitPlan;
  /** Why, in words. @default "" */
  readonly reason?: string;
}

/** What publishing would change. Immutable; applying commits it, if nobody changed the same things since. */
export class Plan {
  /** The revision of the registry that the plan was made for. */
  readonly revision: number;
  /** Everything that was compared, unchanged things included. */
  readonly items: readonly PlanItem[];
  /** What applying commits. */
  readonly actions: readonly Action[];
  /** Why, in words; what applying says unless told otherwise. */
  readonly reason: string;
  readonly #commit: CommitPlan | undefined;
  /** What applying committed: a plan is committed once. */
  #applied: Promise<Change> | undefined;

  /** Wraps what was compared; see `Registry.plan`. */
  constructor(parts: PlanParts) {
    this.revision = parts.revision;
    this.items = Object.freeze([...parts.items]);
    this.actions = Object.freeze([...parts.actions]);
    this.reason = parts.reason ?? "";
    this.#commit = parts.commit;
    Object.freeze(this);
  }

  /** Whether everything is already as wanted. */
  get isEmpty(): boolean {
    return this.actions.length === 0;
  }

  /** What deserves a look before applying, by the thing it is about. */
  get warnings(): readonly Issue[] {
    return this.items.flatMap((item) =>
      item.warnings.map((message) => ({ path: `${item.kind}:${item.name}`, message }))
    );
  }

  /** All slices that the plan would have computed. */
  get slices(): number {
    return this.items.reduce((sum, item) => sum + (item.backfill?.slices ?? 0), 0);
  }

  /** How long it takes one process to compute them, about; undefined where nothing is known of a source. */
  get seconds(): number | undefined {
    const backfills = this.items.flatMap((item) => item.backfill ?? []);
    if (backfills.length === 0 || backfills.some(({ seconds }) => seconds === undefined)) return undefined;
    return backfills.reduce((sum, { seconds }) => sum + seconds!, 0);
  }

  /** The same plan with more that deserves a look, by the thing it is about. */
  warned(more: readonly Issue[]): Plan {
    const items = this.items.map((item) => {
      const own = more.filter(({ path }) => path === `${item.kind}:${item.name}`).map(({ message }) => message);
      return own.length === 0 ? item : { ...item, warnings: [...item.warnings, ...own] };
    });
    const commit = this.#commit;
    return new Plan({ ...this, items, ...(commit && { commit }) });
  }

  /**
   * Commits the plan; undefined when there is nothing to do. CONFLICT tells what others changed since it was made. A plan that
   * is committed gives the same change again.
   */
  async apply(options: ApplyOptions = {}): Promise<Change | undefined> {
    if (this.isEmpty) return undefined;
    if (!this.#commit) {
      throw new VarveError(
        "INVALID_REQUEST",
        "Cannot apply this plan: it was made without a registry; make it with registry.plan()",
      );
    }
    const { reason = this.reason, signal } = options;
    this.#applied ??= this.#commit(this.actions, {
      reason,
      expectedRevision: this.revision,
      ...(signal ? { signal } : {}),
    });
    try {
      return await this.#applied;
    } catch (error) {
      this.#applied = undefined;
      throw error;
    }
  }

  /** The plan as plain data. */
  toJSON(): { revision: number; isEmpty: boolean; items: readonly PlanItem[]; warnings: readonly Issue[] } {
    return { revision: this.revision, isEmpty: this.isEmpty, items: this.items, warnings: this.warnings };
  }

  /** The plan as plain text. */
  toString(): string {
    if (this.isEmpty) return "No changes";
    return this.items.filter((item) => item.change !== "unchanged").map(itemText).join("\n");
  }
}

/** What things of a kind are called. */
export function kindText(kind: Definition["kind"]): string {
  return kind === "realtimeView" ? "realtime view" : kind;
}

const signs = { create: "+", update: "~", newVersion: "~", unchanged: " ", delete: "-" } as const;

function itemText(item: PlanItem): string {
  const version = item.version === undefined
    ? ""
    : item.change === "newVersion"
    ? `, new version ${item.version}`
    : `, version ${item.version}`;
  const lines = [`${signs[item.change]} ${kindText(item.kind)} ${item.name}${version}`];
  for (const difference of item.differences) lines.push(`    ${difference.text.replaceAll("\n", "\n      ")}`);
  if (item.backfill) lines.push(`    backfill: ${backfillText(item.backfill)}`);
  for (const warning of item.warnings) lines.push(`    ! ${warning}`);
  return lines.join("\n");
}

/** Ranges that are shown; a history with many holes has more. */
const shownRanges = 3;

function backfillText({ slices, ranges, rows, bytes }: Backfill): string {
  const shown = ranges.slice(0, shownRanges).map(({ start, end }) => `${day(start)} to ${day(end)}`);
  if (ranges.length > shownRanges) shown.push(`${formatCount(ranges.length - shownRanges)} more ranges`);
  const cost = [
    ...(rows === undefined ? [] : [`${formatCount(rows)} rows`]),
    ...(bytes === undefined ? [] : [formatBytes(bytes)]),
  ];
  const reads = cost.length === 0 ? "" : `; reads about ${cost.join(", ")}`;
  return `${formatCount(slices)} ${slices === 1 ? "slice" : "slices"}, ${shown.join(", ")}${reads}`;
}

/** An instant as short as it can be: most slices begin at midnight. */
function day(instant: string): string {
  return instant.replace(/T00:00:00Z$/, "");
}
