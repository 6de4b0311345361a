/** The sha256 of local files: each is read once per process, under whatever name, and again when it changed. */
import { createHash } from "node:crypto";
import { createReadStream, type Stats } from "node:fs";
import { stat } from "node:fs/promises";

const mostFiles = 100_000;

/** By the state of a file: a part keeps it when it is moved to where it is stored, and is not read again to be checked there. */
const known = new Map<string, string>();

/** The hash of a file's content; `info` says what state the file is in. */
export async function sha256Of(path: string, info?: Stats): Promise<string> {
  const state = info ?? await stat(path);
  const found = known.get(keyOf(state));
  if (found !== undefined) return found;
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path) as AsyncIterable<Uint8Array>) hash.update(chunk);
  const sha256 = hash.digest("hex");
  noteSha256(state, sha256);
  return sha256;
}

/** Takes note of a hash that is known from elsewhere. */
export function noteSha256(info: Stats, sha256: string): void {
  if (known.size >= mostFiles) known.clear();
  known.set(keyOf(info), sha256);
}

function keyOf({ dev, ino, size, mtimeMs }: Stats): string {
  return `${dev} ${ino} ${size} ${mtimeMs}`;
}
