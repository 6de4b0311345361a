/** `varve plan FILE` and `varve apply FILE`: definitions kept as code. */
import { formatCount, formatSeconds, progressBars } from "varve";
import type { StorePlan } from "varve";
import { interruptible } from "./interrupt.ts";
import { loadDefinitions } from "./load_definitions.ts";
import type { CommandContext } from "./main.ts";
import { withStore, withStoreToRead } from "./with_store.ts";

type Options = Readonly<Record<string, unknown>>;

/** Prints what would change. */
export async function plan(context: CommandContext, file: string, options: Options): Promise<void> {
  await withPlan(withStoreToRead, context, file, options, async (found) => {
    context.print(context.json ? JSON.stringify(found, undefined, 2) : String(found));
    return await Promise.resolve();
  });
}

/** Prints the plan, applies it, and shows how far the backfill is. */
export async function apply(context: CommandContext, file: string, options: Options): Promise<void> {
  await withPlan(withStore, context, file, options, async (found) => {
    if (!context.json) context.print(String(found));
    const started = performance.now();
    const bars = progressBars(process.stderr, () => (performance.now() - started) / 1000);
    const applied = await interruptible((signal) =>
      found.apply({
        wait: options["wait"] !== false,
        ...(typeof options["reason"] === "string" ? { reason: options["reason"] } : {}),
        signal,
        ...(context.json ? {} : { onProgress: bars.update }),
      })
    ).finally(bars.stop);
    if (context.json) return context.print(JSON.stringify(applied, undefined, 2));
    if (options["wait"] === false) return context.print(`Revision ${applied.revision}; the workers go on`);
    const rows = applied.views.reduce((sum, view) => sum + view.rows, 0);
    // The plan has said so already when there was nothing to change.
    if (found.isEmpty && rows === 0) return;
    const took = formatSeconds(applied.seconds);
    context.print(`Done: ${formatCount(rows)} rows computed, revision ${applied.revision}, in ${took}`);
  });
}

async function withPlan(
  open: typeof withStore,
  context: CommandContext,
  file: string,
  options: Options,
  use: (plan: StorePlan) => Promise<void>,
): Promise<void> {
  const definitions = await loadDefinitions(file);
  await open(context, async (store) => {
    const names = options["delete"];
    await use(await store.plan(definitions, Array.isArray(names) ? { delete: names as string[] } : {}));
  });
}
