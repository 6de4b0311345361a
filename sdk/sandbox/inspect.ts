/** Whether functions can run here: starts a sandbox and asks it. */
import { schemaFrom } from "../schema.ts";
import { sourceOfText } from "./function_source.ts";
import { FunctionRunner } from "./runner.ts";
import type { FunctionSettings } from "./runner_options.ts";

/** What was found. */
export interface SandboxFacts {
  /** The executable. */
  readonly deno: string;
  /** Tools of the system that limit its processes: `prlimit` bounds memory and CPU. */
  readonly guards: readonly string[];
}

/** Runs a small function in a sandbox of its own. Throws what a realtime view would fail with. */
export async function inspectSandbox(settings: FunctionSettings = {}): Promise<SandboxFacts> {
  const runner = new FunctionRunner(settings);
  try {
    const fields = schemaFrom({ n: "int32" });
    const fn = { name: "a small function", ...sourceOfText("(row) => row"), input: fields, output: fields };
    await runner.run(fn, [{ n: 1 }]);
    const { deno, guards } = runner.status;
    return { deno: deno!, guards };
  } finally {
    await runner.close();
  }
}
