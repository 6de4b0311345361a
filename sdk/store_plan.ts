/** What publishing would change, and doing it: the registry's plan together with the work that follows from it. */
import type { Definition } from "./define/definitions.ts";
import { Displayed, type Rendering } from "./display.ts";
import { checkOptions, type Issue, type OptionNames } from "./errors.ts";
import { planBundle } from "./notebook/plan_table.ts";
import { report } from "./notebook/report.ts";
import { appliedBundle } from "./notebook/status_table.ts";
import { withProgress } from "./notebook/shown_progress.ts";
import type { Plan, PlanItem } from "./registry/plan.ts";
import { runDue, submitDue, type WaitOptions, waitOptions } from "./store_jobs.ts";
import type { StoreParts } from "./store_parts.ts";
import { storeMemorySources } from "./store_sources.ts";
import type { DoneView } from "./store_tally.ts";

/** How a plan is applied. */
export interface ApplyPlanOptions extends WaitOptions {
  /** Wait until everything that is due is computed, loaded and served. @default true */
  readonly wait?: boolean;
  /** Why, in words; kept in the history. */
  readonly reason?: string;
}

const applyOptions: OptionNames<ApplyPlanOptions> = { ...waitOptions, wait: true, reason: true };

/** What applying a plan did. */
export interface Applied {
  /** The registry's revision afterwards. */
  readonly revision: number;
  /** What was computed for each view; empty without `wait`. */
  readonly views: readonly DoneView[];
  /** How long it took. */
  readonly seconds: number;
}

/** What publishing would change. Nothing has run yet: print it, then apply it. Immutable. */
export class StorePlan extends Displayed {
  /** The plan of the registry. */
  readonly plan: Plan;
  readonly #parts: StoreParts;
  readonly #definitions: readonly Definition[];

  /**
   * Made by `store.plan`.
   * @internal
   */
  constructor(parts: StoreParts, plan: Plan, definitions: readonly Definition[]) {
    super();
    this.plan = plan;
    this.#parts = parts;
    this.#definitions = definitions;
    Object.freeze(this);
  }

  /** What happens to each entity, view and service. */
  get items(): readonly PlanItem[] {
    return this.plan.items;
  }

  /** Whether everything is already as wanted. */
  get isEmpty(): boolean {
    return this.plan.isEmpty;
  }

  /** What deserves a look before applying. */
  get warnings(): readonly Issue[] {
    return this.plan.warnings;
  }

  /** How many slices would be computed. */
  get slices(): number {
    return this.plan.slices;
  }

  /**
   * Commits the plan, then computes what is due, loads it online, and lets it serve. Of a changed view the old version serves
   * until then. Applying again goes on where it was interrupted.
   */
  async apply(options: ApplyPlanOptions = {}): Promise<Applied & Displayed> {
    checkOptions("Cannot apply the plan", options, applyOptions);
    const { wait = true, reason, signal } = options;
    const started = performance.now();
    await storeMemorySources(this.#parts, this.#definitions, signal);
    const gone = this.#deletedVersions(this.#parts.registry.cached);
    await this.plan.apply({ ...(reason !== undefined && { reason }), ...(signal && { signal }) });
    await this.#clean(gone);
    const views = this.items.filter((item) => item.kind === "view" && item.change !== "delete").map((item) =>
      item.name
    );
    let done: DoneView[] = [];
    if (wait) {
      done = await withProgress(options, (followed) => runDue(this.#parts, views, followed));
    } else {
      await submitDue(this.#parts, views);
      this.#parts.work();
    }
    const { revision } = await this.#parts.registry.state();
    return report({ revision, views: done, seconds: (performance.now() - started) / 1000 }, appliedBundle);
  }

  #deletedVersions(state: StoreParts["registry"]["cached"]): { view: string; version: number }[] {
    return this.items.filter((item) => item.kind === "view" && item.change === "delete").flatMap(({ name }) =>
      state.views[name]?.versions.map(({ version }) => ({ view: name, version })) ?? []
    );
  }

  /** Data of deleted views goes in its own time; what is lost here is found by `vacuum`. */
  async #clean(gone: readonly { view: string; version: number }[]): Promise<void> {
    if (gone.length === 0) return;
    const { queue, workspace } = this.#parts;
    await queue.submitMany(gone.map(({ view, version }) => ({ job: { name: "clean", workspace, view, version } })));
    this.#parts.work();
  }

  /** The plan as plain data. */
  toJSON(): ReturnType<Plan["toJSON"]> {
    return this.plan.toJSON();
  }

  /** The plan as plain text. */
  override toString(): string {
    return this.plan.toString();
  }

  /** @internal */
  override rendering(): Rendering {
    return { first: planBundle(this.plan) };
  }
}
