/** A client of Jupyter's protocol: starts a kernel, runs cells, and gives what a notebook would show. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { createHmac, randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Dealer, Subscriber } from "zeromq";
import { projectKernels } from "../../cluster/notebook/kernels.ts";
import { freePorts } from "./ports.ts";

/** One thing that a cell shows. */
export interface CellOutput {
  readonly kind: "stream" | "display_data" | "update_display_data" | "execute_result" | "error";
  /** By mime type; a stream has `stdout` or `stderr`, an error `ename`, `evalue`. */
  readonly data: Readonly<Record<string, unknown>>;
  /** Names a display that later outputs may replace. */
  readonly displayId?: string;
}

/** What one cell did. */
export interface CellResult {
  readonly status: "ok" | "error" | "abort";
  readonly outputs: readonly CellOutput[];
  /** What is left on the page: updates have replaced what they update. */
  readonly shown: readonly CellOutput[];
}

interface Message {
  readonly header: { readonly msg_type: string };
  readonly parent_header: { readonly msg_id?: string };
  readonly content: Record<string, unknown>;
}

/** How a cell is run. */
export interface CellOptions {
  /** The longest it may take. @default 120000 */
  readonly timeoutMs?: number;
  /** What comes late, such as the sample of a frame, is waited for until this is true, for a minute at most. */
  readonly until?: (shown: readonly CellOutput[]) => boolean;
  /** Sees what the cell shows while it runs. */
  readonly onOutput?: (output: CellOutput) => void;
}

const lateLimitMs = 60_000;
const delimiter = "<IDS|MSG>";
/** Deno may publish a result after it has said that it is idle. */
const lingerMs = 150;

/** A kernel that runs. Close it. */
export class JupyterKernel {
  readonly #child: ChildProcess;
  readonly #folder: string;
  readonly #key: string;
  readonly #shell = new Dealer({ linger: 0 });
  readonly #control = new Dealer({ linger: 0 });
  readonly #iopub = new Subscriber({ linger: 0 });
  readonly #session = randomUUID();
  readonly #listeners = new Set<(message: Message) => void>();
  readonly #died: Promise<never>;
  #stderr = "";

  /** Starts a kernel of the repository, `"node"` or `"deno"`, in a folder. */
  static async start(name: "node" | "deno", cwd: string, env: Record<string, string> = {}): Promise<JupyterKernel> {
    const kernel = projectKernels(join(import.meta.dirname, "../..")).find((each) => each.name === `varve-${name}`)!;
    const ports = await freePorts(5);
    const key = randomUUID();
    const folder = await mkdtemp(join(tmpdir(), "varve-kernel-"));
    const file = join(folder, "connection.json");
    const [shell_port, iopub_port, stdin_port, control_port, hb_port] = ports;
    const connection = { shell_port, iopub_port, stdin_port, control_port, hb_port };
    const scheme = {
      ip: "127.0.0.1",
      transport: "tcp",
      key,
      signature_scheme: "hmac-sha256",
      kernel_name: kernel.name,
    };
    await writeFile(file, JSON.stringify({ ...connection, ...scheme }));
    const argv = kernel.argv.map((word) => word === "{connection_file}" ? file : word);
    const child = spawn(argv[0]!, argv.slice(1), { cwd, env: { ...process.env, ...env }, stdio: "pipe" });
    const started = new JupyterKernel(child, folder, key, {
      shell: shell_port!,
      iopub: iopub_port!,
      control: control_port!,
    });
    await started.#ready();
    return started;
  }

  private constructor(
    child: ChildProcess,
    folder: string,
    key: string,
    ports: { readonly shell: number; readonly iopub: number; readonly control: number },
  ) {
    this.#child = child;
    this.#folder = folder;
    this.#key = key;
    this.#shell.connect(`tcp://127.0.0.1:${ports.shell}`);
    this.#control.connect(`tcp://127.0.0.1:${ports.control}`);
    this.#iopub.connect(`tcp://127.0.0.1:${ports.iopub}`);
    this.#iopub.subscribe();
    this.#died = once(child, "exit").then(() => {
      throw new Error(`the kernel died: ${this.#stderr}`);
    });
    this.#died.catch(() => undefined);
    child.stdout!.resume();
    child.stderr!.on("data", (data: Buffer) => this.#stderr += String(data));
    for (const socket of [this.#shell, this.#control, this.#iopub]) void this.#listen(socket);
  }

  async #listen(socket: Dealer | Subscriber): Promise<void> {
    for await (const frames of socket) {
      const at = frames.findIndex((frame) => frame.toString() === delimiter);
      const [header, parent_header, , content] = frames.slice(at + 2).map((frame) => JSON.parse(frame.toString()));
      for (const listener of this.#listeners) listener({ header, parent_header, content });
    }
  }

  async #send(socket: Dealer, type: string, content: object): Promise<string> {
    const id = randomUUID();
    const header = { msg_id: id, session: this.#session, username: "test", date: new Date().toISOString() };
    const parts = [{ ...header, msg_type: type, version: "5.3" }, {}, {}, content].map((part) => JSON.stringify(part));
    const hmac = createHmac("sha256", this.#key);
    for (const part of parts) hmac.update(part);
    await socket.send([delimiter, hmac.digest("hex"), ...parts]);
    return id;
  }

  /** The kernel answers, and what it publishes is heard. */
  async #ready(): Promise<void> {
    const deadline = Date.now() + 60_000;
    let heard = false;
    const listener = ({ header }: Message) => heard ||= header.msg_type === "status";
    this.#listeners.add(listener);
    while (!heard) {
      if (Date.now() > deadline || this.#child.exitCode !== null) {
        await this.close();
        throw new Error(`the kernel does not answer: ${this.#stderr}`);
      }
      await this.#send(this.#shell, "kernel_info_request", {});
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    this.#listeners.delete(listener);
  }

  /** Runs a cell to its end, and until it shows what is wanted. */
  async run(code: string, options: CellOptions = {}): Promise<CellResult> {
    for (;;) {
      const result = await this.#run(code, options);
      // tslab does not run what comes within a moment of a failure.
      if (result.status !== "abort") return result;
    }
  }

  async #run(code: string, options: CellOptions): Promise<CellResult> {
    const outputs: CellOutput[] = [];
    let status: CellResult["status"] | undefined;
    let isIdle = false;
    let done = () => {};
    const ended = new Promise<void>((resolve) => done = resolve);
    let id = "";
    const early: Message[] = [];
    const take = ({ header, parent_header, content }: Message) => {
      if (parent_header.msg_id !== id) return;
      if (header.msg_type === "execute_reply") status = content["status"] as CellResult["status"];
      else if (header.msg_type === "status") isIdle ||= content["execution_state"] === "idle";
      const output = outputOf(header.msg_type, content);
      if (output) {
        outputs.push(output);
        options.onOutput?.(output);
      }
      if (status !== undefined && isIdle) done();
    };
    const listener = (message: Message) => id === "" ? void early.push(message) : take(message);
    this.#listeners.add(listener);
    try {
      id = await this.#send(this.#shell, "execute_request", {
        code,
        silent: false,
        store_history: true,
        user_expressions: {},
        allow_stdin: false,
        stop_on_error: false,
      });
      early.forEach(take);
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new Error(`the cell takes too long:\n${code}`)), options.timeoutMs ?? 120_000);
      });
      await Promise.race([ended, this.#died, late]).finally(() => clearTimeout(timer));
      const patience = Date.now() + lateLimitMs;
      do await new Promise((resolve) => setTimeout(resolve, lingerMs)); while (
        options.until && !options.until(settled(outputs)) && Date.now() < patience
      );
    } finally {
      this.#listeners.delete(listener);
    }
    return { status: status!, outputs, shown: settled(outputs) };
  }

  /** What Jupyter's stop button does. */
  interrupt(): void {
    this.signal("SIGINT");
  }

  /** Sends a signal to the kernel's process. */
  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** Ends the kernel at once, as a restart does. */
  async close(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const gone = once(this.#child, "exit");
      this.#child.kill("SIGKILL");
      await gone;
    }
    for (const socket of [this.#shell, this.#control, this.#iopub]) socket.close();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

function outputOf(type: string, content: Record<string, unknown>): CellOutput | undefined {
  switch (type) {
    case "stream":
      return { kind: "stream", data: { [String(content["name"])]: content["text"] } };
    case "error":
      return {
        kind: "error",
        data: { ename: content["ename"], evalue: content["evalue"], traceback: content["traceback"] },
      };
    case "display_data":
    case "update_display_data":
    case "execute_result": {
      const { display_id } = (content["transient"] ?? {}) as { display_id?: string };
      const data = content["data"] as Record<string, unknown>;
      return { kind: type, data, ...(display_id !== undefined && { displayId: display_id }) };
    }
  }
  return undefined;
}

function settled(outputs: readonly CellOutput[]): CellOutput[] {
  const shown: CellOutput[] = [];
  for (const output of outputs) {
    if (output.kind !== "update_display_data") shown.push(output);
    else shown.forEach((each, i) => each.displayId === output.displayId && (shown[i] = { ...each, data: output.data }));
  }
  return shown;
}
