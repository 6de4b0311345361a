/** `varve source NAME`: definitions of the registry as code. */
import type { CommandContext } from "./main.ts";
import { withStoreToRead } from "./with_store.ts";

/** Prints a module. */
export async function source(
  context: CommandContext,
  names: readonly string[],
  options: Readonly<Record<string, unknown>>,
): Promise<void> {
  await withStoreToRead(context, async (store) => {
    const { text } = await store.source(names, { paths: options["absolute"] === true ? "absolute" : "relative" });
    context.print(context.json ? JSON.stringify(text) : text.trimEnd());
  });
}
