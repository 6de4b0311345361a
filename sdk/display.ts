/**
 * How things show themselves: in a notebook as what a renderer makes of them, anywhere else as text. Two kernels are known,
 * tslab on Node and Deno; neither is a dependency.
 */
import { VarveError } from "./errors.ts";

/** One thing in several forms, by mime type: a front end shows the richest that it knows. */
export interface MimeBundle {
  /** Always there. */
  readonly "text/plain": string;
  /** Any other form. */
  readonly [mime: string]: unknown;
}

/** What to show at once, and what takes its place when it has been computed. */
export interface Rendering {
  /** What is known without reading anything. */
  readonly first: MimeBundle;
  /** Reads and computes what is missing, and gives the whole. */
  readonly later?: () => Promise<MimeBundle>;
}

let renderer: ((value: object) => Rendering) | undefined;

/** Installed by the notebook room: this room knows no forms but text. */
export function useRenderer(render: (value: object) => Rendering): void {
  renderer = render;
}

/** Which kernel runs this process, if any. */
export type Kernel = "tslab" | "deno";

const jupyterDisplay: unique symbol = Symbol.for("Jupyter.display") as never;
const nodeInspect: unique symbol = Symbol.for("nodejs.util.inspect.custom") as never;

interface DenoJupyter {
  display(value: unknown, options: { raw: true; display_id?: string; update?: boolean }): Promise<void>;
}

interface Tslab {
  require(name: string): { display: { raw(mime: string, data: unknown): void } };
}

type WriteDisplay = (
  content: { data: MimeBundle; metadata: object; transient: { display_id?: string } },
  update: boolean,
) => void;

interface TslabJupyter {
  /** Null until it has run a cell. */
  readonly lastWriteDisplayData?: WriteDisplay | null;
}

/** Which kernel runs this process. */
export function kernel(): Kernel | undefined {
  if ("__tslab__" in globalThis) return "tslab";
  return denoJupyter() === undefined ? undefined : "deno";
}

function denoJupyter(): DenoJupyter | undefined {
  try {
    const { jupyter } = (globalThis as { Deno?: { jupyter?: DenoJupyter } }).Deno ?? {};
    return typeof jupyter?.display === "function" ? jupyter : undefined;
  } catch {
    return undefined; // Deno outside of a notebook
  }
}

/** The running kernel's own writer: of the cell that runs now, whatever runs when it is called. */
function tslabWriter(): WriteDisplay {
  const { __tslab__: tslab } = globalThis as unknown as { __tslab__: Tslab & { require: { cache?: object } } };
  const modules = Object.entries(tslab.require.cache ?? {}) as [string, { exports?: TslabJupyter }][];
  // One that is installed for all may have loaded the one of the project: only one of them runs cells.
  const writers = modules.filter(([path]) => /[/\\]tslab[/\\]dist[/\\]jupyter\.js$/.test(path))
    .map(([, { exports }]) => exports?.lastWriteDisplayData);
  const write = writers.find((each) => typeof each === "function");
  if (write) return write;
  // Another release may have moved it: then what it has for users shows one form, and cannot replace it.
  const { display } = tslab.require("tslab");
  return ({ data }, update) => {
    if (update) return;
    const mime = ["text/html", "image/svg+xml", "text/plain"].find((each) => data[each] !== undefined)!;
    display.raw(mime, data[mime]);
  };
}

/** A place in a notebook whose content may change. */
export interface Display {
  /** Shows something else in its place. */
  update(bundle: MimeBundle): void;
}

let displays = 0;

/** Shows something below the cell that runs now; without a kernel, nothing happens. */
export function showInCell(bundle: MimeBundle): Display {
  const id = `varve-${++displays}`;
  switch (kernel()) {
    case "tslab": {
      const write = tslabWriter();
      const put = (data: MimeBundle, update: boolean) =>
        write({ data, metadata: {}, transient: { display_id: id } }, update);
      put(bundle, false);
      return { update: (next) => put(next, true) };
    }
    case "deno": {
      const jupyter = denoJupyter()!;
      let last = jupyter.display(bundle, { raw: true, display_id: id });
      return {
        update(next) {
          last = last.then(() => jupyter.display(next, { raw: true, display_id: id, update: true })).catch(() => {});
        },
      };
    }
    default:
      return { update() {} };
  }
}

/** What shows itself in a notebook when it is a cell's last value. Its `toString` is what it looks like anywhere else. */
export abstract class Displayed {
  /** As plain text. */
  abstract toString(): string;

  /** What a console shows. */
  inspectText(): string {
    return this.toString();
  }

  /**
   * What a notebook shows.
   * @internal
   */
  rendering(): Rendering {
    return renderer?.(this) ?? { first: { "text/plain": this.inspectText() } };
  }

  /** All forms of it, computed to the end. */
  async toMimeBundle(): Promise<MimeBundle> {
    const { first, later } = this.rendering();
    return await (later?.() ?? first);
  }

  /** Shows it below the cell that runs now, wherever in the cell this is called. Outside of a notebook it prints text. */
  async show(): Promise<void> {
    const { first, later } = this.rendering();
    if (kernel() === undefined) return console.log((await (later?.() ?? first))["text/plain"]);
    const display = showInCell(first);
    if (later) display.update(await later());
  }

  /** What Deno shows. */
  async [jupyterDisplay](): Promise<MimeBundle> {
    // Deno says that the cell has ended before it has sent a result that comes at once: it would be lost.
    await new Promise((resolve) => setTimeout(resolve, 0));
    return await this.toMimeBundle();
  }

  /** What a console shows; in tslab, where a cell's value goes to the console, what a notebook shows. */
  [nodeInspect](depth: number, options: { readonly depth?: number }): string {
    if (!isCellValue(depth, options)) return this.inspectText();
    const { first, later } = this.rendering();
    const display = showInCell(first);
    if (later) {
      const shown = later().then(
        display.update,
        (error: unknown) => display.update({ "text/plain": problemText(error) }),
      );
      unfinished.add(shown);
      void shown.finally(() => unfinished.delete(shown));
    }
    dropNextWrite();
    return "";
  }
}

/** What is read for cells that have ended: tslab waits for none of it. */
const unfinished = new Set<Promise<void>>();

/** Resolves when what cells show has been read, so that what it is read with may be closed. */
export async function shownInFull(): Promise<void> {
  await Promise.all(unfinished);
}

function problemText(error: unknown): string {
  return error instanceof VarveError ? error.message : String(error);
}

/** Whether tslab prints the value of a cell, and not somebody something. */
function isCellValue(depth: number, options: { readonly depth?: number }): boolean {
  if (kernel() !== "tslab" || depth !== options.depth) return false;
  const lines = (new Error().stack ?? "").split("\n");
  const printed = lines.findIndex((line) => /at console\.log/.test(line));
  return printed >= 0 && /tslab.dist.executor\.js/.test(lines[printed + 1] ?? "");
}

/** The line break that follows an empty text. */
function dropNextWrite(): void {
  const out = process.stdout;
  const write = out.write;
  out.write = () => {
    out.write = write;
    return true;
  };
}
