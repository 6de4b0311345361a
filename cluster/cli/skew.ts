/** `varve skew VIEW`: compares what a view serves with what its definition gives. */
import type { CommandContext } from "./main.ts";
import { plain } from "./plain_json.ts";
import { withStoreToRead } from "./with_store.ts";

/** Prints what was found; exits with 1 when something differs. */
export async function skew(
  context: CommandContext,
  view: string,
  options: Readonly<Record<string, unknown>>,
): Promise<void> {
  await withStoreToRead(context, async (store) => {
    const found = await store.skew(view, {
      keys: Number(options["keys"]),
      seed: Number(options["seed"]),
      ...(options["at"] !== undefined && { at: String(options["at"]) }),
    });
    context.print(context.json ? JSON.stringify(found, plain, 2) : String(found));
    if (found.mismatches > 0) process.exitCode = 1;
  });
}
