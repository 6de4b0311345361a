/** `varve materialize`, `cancel`, `retry` and `vacuum`: work by hand. */
import { formatBytes, formatCount, progressBars, VarveError } from "varve";
import { openQueue } from "../connect.ts";
import { queueUrl } from "../settings.ts";
import { interruptible } from "./interrupt.ts";
import type { CommandContext } from "./main.ts";
import { withStore, withStoreToRead } from "./with_store.ts";

type Options = Readonly<Record<string, unknown>>;

/** Computes slices and shows how far it is. */
export async function materialize(context: CommandContext, view: string, options: Options): Promise<void> {
  await withStore(context, async (store) => {
    const started = performance.now();
    const bar = progressBars(process.stderr, () => (performance.now() - started) / 1000);
    const done = await interruptible((signal) =>
      store.materialize(view, {
        ...(typeof options["start"] === "string" ? { start: options["start"] } : {}),
        ...(typeof options["end"] === "string" ? { end: options["end"] } : {}),
        overwrite: options["overwrite"] === true,
        signal,
        ...(context.json ? {} : { onProgress: bar.update }),
      })
    ).finally(bar.stop);
    if (context.json) return context.print(JSON.stringify(done, undefined, 2));
    for (const { version, slices, rows, bytes, onlineRows } of done) {
      context.print(
        `${view} version ${version}: ${formatCount(slices)} slices, ${formatCount(rows)} rows, ${formatBytes(bytes)}, ${
          formatCount(onlineRows)
        } keys online`,
      );
    }
  });
}

/** Cancels what waits or runs. */
export async function cancel(context: CommandContext, view: string): Promise<void> {
  await withStore(context, async (store) => {
    const count = await store.cancel(view);
    context.print(
      context.json
        ? JSON.stringify({ cancelled: count })
        : `${formatCount(count)} ${count === 1 ? "job" : "jobs"} cancelled`,
    );
  });
}

/** Puts a dead job back in line. */
export async function retry(context: CommandContext, id: string): Promise<void> {
  const url = queueUrl(context.config);
  if (url === undefined) {
    throw new VarveError(
      "UNSUPPORTED",
      "Cannot retry a job of an embedded store: its queue lives in the process that runs it; `varve apply` or `varve materialize` begins again",
    );
  }
  const queue = await openQueue(url, context.config.workspace);
  try {
    if (!await queue.retry(id)) {
      throw new VarveError("NOT_FOUND", `Cannot retry job ${id}: no dead job has this id; \`varve status\` shows them`);
    }
    context.print(context.json ? JSON.stringify({ retried: id }) : `job ${id} is back in line`);
  } finally {
    await queue.close();
  }
}

/** Finds, and with `--apply` removes, what nothing refers to. */
export async function vacuum(context: CommandContext, options: Options): Promise<void> {
  await withStoreToRead(context, async (store) => {
    const apply = options["apply"] === true;
    const found = await store.vacuum({ apply });
    if (context.json) return context.print(JSON.stringify(found, undefined, 2));
    const isMore = !apply && found.objects + found.deletedVersions.length > 0;
    context.print(`${found}${isMore ? "; do it with --apply" : ""}`);
  });
}
