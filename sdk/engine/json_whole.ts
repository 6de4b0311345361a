/** Whether JSON files are whole: the engine takes an array that ends behind a comma for one that ends. */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { VarveError } from "../errors.ts";

const partBytes = 4096;

/** Throws CORRUPT where a file begins an array that it does not end. Packed files are checked by what packs them. */
export function checkJsonArrays(files: readonly string[]): void {
  for (const file of files) {
    const handle = openSync(file, "r");
    try {
      const { size } = fstatSync(handle);
      const length = Math.min(size, partBytes);
      const part = (from: number) => {
        const bytes = Buffer.alloc(length);
        return bytes.toString("latin1", 0, readSync(handle, bytes, 0, length, from)).trim();
      };
      if (!part(0).replace(/^\xEF\xBB\xBF\s*/, "").startsWith("[")) continue;
      const end = part(size - length);
      // Who knows what stands before so much space.
      if (end === "" || end.endsWith("]")) continue;
      throw new VarveError("CORRUPT", `Cannot read "${file}": its array does not end; the file is cut short`, {
        details: { path: file },
      });
    } finally {
      closeSync(handle);
    }
  }
}
