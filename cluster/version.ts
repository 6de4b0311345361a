/** The version of this package. */
import { readFileSync } from "node:fs";

/** As its package.json says: beside the sources, above what is built of them. */
export function packageVersion(): string {
  for (const path of ["./package.json", "../package.json"]) {
    try {
      const { name, version } = JSON.parse(readFileSync(new URL(path, import.meta.url), "utf8")) as {
        name?: string;
        version?: string;
      };
      if (name === "@varve/cluster" && version !== undefined) return version;
    } catch {
      continue; // not there
    }
  }
  return "unknown";
}
