/** `varve keys`: creates, lists, rotates and revokes API keys. */
import { systemClock, textTable, VarveError } from "varve";
import { openKeys } from "varve/serving";
import type { ApiKey, KeyRing, KeyScope, KeyWithText } from "varve/serving";
import { placesOf } from "../settings.ts";
import type { CommandContext } from "./main.ts";

type Options = Readonly<Record<string, unknown>>;

/** Makes a key and shows it. */
export async function create(context: CommandContext, name: string, options: Options): Promise<void> {
  const { workspace, allWorkspaces, expires, rate } = options;
  if (workspace !== undefined && allWorkspaces) {
    throw new VarveError("INVALID_REQUEST", "Cannot create the key: give --workspace or --all-workspaces, not both");
  }
  const made = await withRing(context, (ring) =>
    ring.create({
      name,
      scopes: options["scope"] as KeyScope[],
      workspaces: allWorkspaces ? "all" : (workspace as string[] | undefined) ?? [context.config.workspace],
      ...(expires !== undefined && { expiresIn: String(expires) }),
      ...(rate !== undefined && { ratePerSecond: Number(rate) }),
    }));
  show(context, made, "It is shown this once: keep it where secrets are kept");
}

/** Gives a key a new text and shows it. */
export async function rotate(context: CommandContext, key: string, options: Options): Promise<void> {
  const { overlap, expires } = options;
  const made = await withRing(
    context,
    (ring) =>
      ring.rotate(key, { overlap: String(overlap), ...(expires !== undefined && { expiresIn: String(expires) }) }),
  );
  const until = made.key.secrets.at(-2)?.validUntil;
  show(context, made, `It is shown this once; the old text is accepted until ${until}`);
}

/** Ends a key. */
export async function revoke(context: CommandContext, reference: string): Promise<void> {
  const key = await withRing(context, (ring) => ring.revoke(reference));
  context.print(
    context.json
      ? JSON.stringify(told(key), undefined, 2)
      : `API key "${key.name}" (${key.id}) is revoked: servers refuse it within two seconds`,
  );
}

/** Lists keys. */
export async function list(context: CommandContext, options: Options): Promise<void> {
  const { keys } = await withRing(context, (ring) => ring.state());
  const shown = [...keys.values()].filter((key) => options["all"] || key.revokedAt === undefined);
  if (context.json) return context.print(JSON.stringify(shown.map(told), undefined, 2));
  if (shown.length === 0) {
    return context.print("There is no API key: `varve keys create NAME` makes one");
  }
  context.print(textTable(
    ["name", "id", "may", "workspaces", "created", "last rotated", "expires"],
    shown.map((key) => [
      key.name,
      key.id,
      key.scopes.join(", ") + (key.ratePerSecond === undefined ? "" : `, ${key.ratePerSecond}/s`),
      key.workspaces === "all" ? "all" : key.workspaces.join(", "),
      `${key.createdAt} by ${key.author}`,
      key.rotatedAt ?? "–",
      key.revokedAt === undefined ? key.expiresAt ?? "never" : `revoked ${key.revokedAt}`,
    ]),
  ));
}

/** The key alone on standard output, so that a program can take it from there; what is said about it beside. */
function show(context: CommandContext, { key, text }: KeyWithText, note: string): void {
  if (context.json) return context.print(JSON.stringify({ key: text, ...told(key) }, undefined, 2));
  context.print(text);
  const where = key.workspaces === "all" ? "all workspaces" : `workspace ${key.workspaces.join(", ")}`;
  const end = key.expiresAt === undefined ? "" : `, until ${key.expiresAt}`;
  process.stderr.write(
    `API key "${key.name}" (${key.id}) may ${
      key.scopes.join(", ")
    } in ${where}${end}. ${note}.\nClients send it as: Authorization: Bearer KEY\n`,
  );
}

/** What may be shown of a key. */
function told({ secrets: _, ...key }: ApiKey): object {
  return key;
}

async function withRing<T>({ config }: CommandContext, use: (ring: KeyRing) => Promise<T>): Promise<T> {
  // A key's end is a matter of today, whatever time features are computed as of.
  const keys = openKeys({ ...placesOf(config), author: config.author, clock: systemClock });
  try {
    return await use(keys.ring);
  } finally {
    await keys.close();
  }
}
