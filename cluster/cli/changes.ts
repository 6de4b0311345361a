/** `varve history` and `varve rollback`. */
import { progressBars, textTable, VarveError } from "varve";
import type { Change } from "varve";
import { interruptible } from "./interrupt.ts";
import type { CommandContext } from "./main.ts";
import { withStore, withStoreToRead } from "./with_store.ts";

type Options = Readonly<Record<string, unknown>>;

/** Prints changes of the registry. */
export async function history(context: CommandContext, options: Options): Promise<void> {
  const limit = Number(options["limit"] ?? 20);
  if (!Number.isInteger(limit) || limit < 1 || limit > 10_000) {
    throw new VarveError(
      "INVALID_REQUEST",
      `Cannot show ${String(options["limit"])} changes: give a whole number from 1 to 10000`,
    );
  }
  const name = options["name"];
  await withStoreToRead(context, async (store) => {
    const changes = await store.history({ limit, ...(typeof name === "string" ? { name } : {}) });
    if (context.json) return context.print(JSON.stringify(changes, undefined, 2));
    if (changes.length === 0) return context.print("No changes yet");
    context.print(textTable(
      ["revision", "when", "who", "what", "why"],
      changes.map((
        change,
      ) => [
        String(change.revision),
        change.at,
        change.author,
        change.actions.map(actionText).join("\n"),
        change.reason || "–",
      ]),
      ["right"],
    ));
  });
}

/** Lets earlier versions serve. */
export async function rollback(context: CommandContext, names: readonly string[], options: Options): Promise<void> {
  const to = options["to"];
  if (to !== undefined && !/^[1-9]\d*$/.test(String(to))) {
    throw new VarveError(
      "INVALID_REQUEST",
      `Cannot roll back ${names.join(", ")} to version ${String(to)}: versions are whole numbers from 1`,
    );
  }
  await withStore(context, async (store) => {
    const started = performance.now();
    const bars = progressBars(process.stderr, () => (performance.now() - started) / 1000);
    const change = await interruptible((signal) =>
      store.rollback(names, to === undefined ? undefined : Number(to), {
        signal,
        ...(context.json ? {} : { onProgress: bars.update }),
      })
    ).finally(bars.stop);
    context.print(
      context.json
        ? JSON.stringify(change, undefined, 2)
        : `${change.actions.map(actionText).join(", ")}, revision ${change.revision}`,
    );
  });
}

function actionText(action: Change["actions"][number]): string {
  switch (action.kind) {
    case "putEntity":
      return `entity ${action.entity.name}`;
    case "deleteEntity":
      return `delete entity ${action.name}`;
    case "addVersion":
      return `view ${action.version.definition.name} version ${action.version.version}`;
    case "updateVersion":
      return `update view ${action.view} version ${action.version}`;
    case "serve":
      return `view ${action.view} serves version ${action.version}`;
    case "deleteVersion":
      return `delete view ${action.view} version ${action.version}`;
    case "deleteView":
      return `delete view ${action.name}`;
    case "putRealtimeView":
      return `realtime view ${action.version.definition.name} version ${action.version.version}`;
    case "deleteRealtimeView":
      return `delete realtime view ${action.name}`;
    case "putService":
      return `service ${action.service.name}`;
    case "deleteService":
      return `delete service ${action.name}`;
  }
}
