/** `varve explain NAME KEY=VALUE`: the rows behind the features of one key, and those left out. */
import { VarveError } from "varve";
import type { CommandContext } from "./main.ts";
import { plain } from "./plain_json.ts";
import { withStoreToRead } from "./with_store.ts";

/** Prints what explains the values. */
export async function explain(
  context: CommandContext,
  name: string,
  keys: readonly string[],
  options: Readonly<Record<string, unknown>>,
): Promise<void> {
  const row = Object.fromEntries(keys.map(keyOf));
  const { at, from, features, limit, request } = options;
  if (from !== undefined && from !== "offline" && from !== "source") {
    throw new VarveError(
      "INVALID_REQUEST",
      `Cannot explain values from "${String(from)}": it is "offline" or "source"`,
    );
  }
  await withStoreToRead(context, async (store) => {
    const found = await store.explain(name, row, {
      limit: Number(limit),
      ...(at !== undefined && { at: String(at) }),
      ...(from !== undefined && { from }),
      ...(Array.isArray(features) && { features: features.map(String) }),
      ...(Array.isArray(request) && { request: Object.fromEntries(request.map((each) => keyOf(String(each)))) }),
    });
    context.print(context.json ? JSON.stringify(found, plain, 2) : String(found));
  });
}

/** `origin=ATL`; `origin=` is null. */
function keyOf(text: string): [name: string, value: string | null] {
  const place = text.indexOf("=");
  if (place < 1) {
    throw new VarveError("INVALID_REQUEST", `Cannot read "${text}" as a name with its value: write it as origin=ATL`);
  }
  return [text.slice(0, place), place + 1 === text.length ? null : text.slice(place + 1)];
}
