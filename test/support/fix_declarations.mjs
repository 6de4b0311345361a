// TypeScript rewrites `.ts` to `.js` in emitted code but not in emitted declarations: do the same there.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

for (const folder of ["sdk/dist", "cluster/dist"]) {
  for (const name of readdirSync(folder, { recursive: true })) {
    if (!String(name).endsWith(".d.ts")) continue;
    const path = join(folder, String(name));
    const text = readFileSync(path, "utf8");
    const fixed = text.replace(/((?:from |import\(|^import )"\.{1,2}\/[^"]+)\.ts"/gm, '$1.js"');
    if (fixed !== text) writeFileSync(path, fixed);
  }
}
