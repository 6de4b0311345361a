import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { newRequestId } from "../../../cluster/server/request_id.ts";

const file = new URL("../../../cluster/server/request_id.ts", import.meta.url).href;

it("newRequestId() gives no name twice, in no process, of what headers and logs take", async () => {
  const program = `import(${JSON.stringify(file)}).then(({ newRequestId }) => console.log(newRequestId()))`;
  const { stdout } = await promisify(execFile)(process.execPath, ["--import", "tsx", "-e", program]);
  const ids = [stdout.trim(), ...Array.from({ length: 2_000 }, newRequestId)];
  for (const id of ids) expect(id).toMatch(/^[0-9a-f]{24}-[0-9a-z]+$/);
  expect(new Set(ids).size).toBe(ids.length);
  expect(new Set(ids.map((id) => id.slice(0, 24))).size).toBe(2);
});
