/** `varve audit SERVICE`: computes logged answers again and compares them. */
import type { CommandContext } from "./main.ts";
import { plain } from "./plain_json.ts";
import { withStoreToRead } from "./with_store.ts";

/** Prints what was found; exits with 1 when an answer was not what it should have been. */
export async function audit(
  context: CommandContext,
  service: string,
  options: Readonly<Record<string, unknown>>,
): Promise<void> {
  await withStoreToRead(context, async (store) => {
    const found = await store.audit(service, {
      ...(options["from"] !== undefined && { from: String(options["from"]) }),
      ...(options["to"] !== undefined && { to: String(options["to"]) }),
      limit: Number(options["limit"]),
    });
    context.print(context.json ? JSON.stringify(found, plain, 2) : String(found));
    if (found.mismatches + found.missing > 0) process.exitCode = 1;
  });
}
