/** `varve source NAME`: definitions of the registry as code. */
import { connect } from "../connect.ts";
import { connectOptions } from "../settings.ts";
import type { CommandContext } from "./main.ts";

/** Prints a module. */
export async function source(
  context: CommandContext,
  names: readonly string[],
  options: Readonly<Record<string, unknown>>,
): Promise<void> {
  const store = await connect(connectOptions(context.config));
  try {
    const { text } = await store.source(names, { paths: options["absolute"] === true ? "absolute" : "relative" });
    context.print(context.json ? JSON.stringify(text) : text.trimEnd());
  } finally {
    await store.close();
  }
}
