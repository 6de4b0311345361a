/** The command line of a sandboxed process: no permission, no environment, an empty folder, and limits of the system. */
import { availableParallelism } from "node:os";
import { delimiter, join } from "node:path";
import { allowedGlobals } from "./allowed_globals.ts";
import { sandboxHost } from "./child_host.ts";
import { makeCodec } from "./codec.ts";
import { makeEnclosure } from "./enclosure.ts";
import { isExecutable } from "./find_deno.ts";
import { makeWatch } from "./watch_rows.ts";
import { weigh } from "./weigh.ts";

/** Limits of one child process. */
export interface ChildLimits {
  /** What the function may take beyond what Deno itself does, in MB. */
  readonly memoryMb: number;
  /** Seconds of CPU in the whole life of a child; it is replaced long before. */
  readonly cpuSeconds: number;
}

/** What to start. */
export interface CommandLine {
  /** The executable. */
  readonly file: string;
  /** Its arguments. */
  readonly args: readonly string[];
  /** Tools of the system that limit the process: `setpriv` ends it with its parent, `prlimit` bounds memory and CPU. */
  readonly guards: readonly string[];
}

/** The command line of a child that runs the host. */
export function commandLine(deno: string, limits: ChildLimits): CommandLine {
  const flags = [
    "run",
    "--quiet",
    "--no-prompt",
    "--no-remote",
    "--no-npm",
    "--no-config",
    "--no-lock",
    `--v8-flags=--max-old-space-size=${limits.memoryMb},--single-threaded-gc`,
    hostUrl(),
  ];
  const words = [deno, ...flags];
  const guards: string[] = [];
  const guard = (name: string, args: readonly string[]): void => {
    const tool = process.platform === "linux" ? findTool(name) : undefined;
    if (tool === undefined) return;
    words.unshift(tool, ...args);
    guards.push(name);
  };
  guard("prlimit", [
    `--data=${(ownMemoryMb() + limits.memoryMb) * 1_000_000}`,
    `--cpu=${limits.cpuSeconds}`,
    "--nofile=64",
    "--core=0",
    "--",
  ]);
  // A function that loops forever does not read that its parent is gone.
  guard("setpriv", ["--pdeathsig", "KILL", "--"]);
  return { file: words[0]!, args: words.slice(1), guards };
}

/** What Deno reserves and hardly uses, in MB, with room for garbage: 575 were measured on 2 cores; each has a thread more. */
function ownMemoryMb(): number {
  return 640 + 16 * Math.min(availableParallelism(), 32);
}

let url: string | undefined;

/** The host as an address that holds its own text: nothing is read from disk. */
function hostUrl(): string {
  url ??= `data:application/javascript,${
    encodeURIComponent(
      // A compiler's helper that keeps names may stand in the texts.
      `const __name = (named) => named;\n(${sandboxHost})(${makeCodec}, ${weigh}, ${makeWatch}, ${makeEnclosure}, ${
        JSON.stringify(allowedGlobals)
      });`,
    )
  }`;
  return url;
}

const tools = new Map<string, string | undefined>();

function findTool(name: string): string | undefined {
  if (!tools.has(name)) {
    const folders = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/bin", "/bin"].filter((folder) =>
      folder !== ""
    );
    tools.set(name, folders.map((folder) => join(folder, name)).find(isExecutable));
  }
  return tools.get(name);
}
