/** The sha256 of local files, each read once per process, and again when it changed. */
import { createHash } from "node:crypto";
import { createReadStream, type Stats } from "node:fs";

const mostFiles = 100_000;

/** See the file's sentence. */
export class FileHashes {
  readonly #known = new Map<string, { readonly state: string; readonly sha256: string }>();

  /** The hash of a file's content; `info` says what state the file is in. */
  async of(path: string, info: Stats): Promise<string> {
    const known = this.#known.get(path);
    if (known?.state === stateOf(info)) return known.sha256;
    const hash = createHash("sha256");
    for await (const chunk of createReadStream(path) as AsyncIterable<Uint8Array>) hash.update(chunk);
    const sha256 = hash.digest("hex");
    this.note(path, info, sha256);
    return sha256;
  }

  /** Takes note of a hash that is known from elsewhere. */
  note(path: string, info: Stats, sha256: string): void {
    if (this.#known.size >= mostFiles) this.#known.clear();
    this.#known.set(path, { state: stateOf(info), sha256 });
  }

  /** For a file that is gone. */
  forget(path: string): void {
    this.#known.delete(path);
  }
}

function stateOf(info: Stats): string {
  return `${info.ino} ${info.size} ${info.mtimeMs}`;
}
