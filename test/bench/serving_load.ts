/** Requests over kept-alive sockets: as fast as answers come, or at a rate whatever answers do. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";

/** Whole requests as bytes, sent one after the other and round again. */
export type Requests = readonly Buffer[];

/** A POST of JSON. */
export function post(path: string, body: unknown, headers: Readonly<Record<string, string>> = {}): Buffer {
  const text = JSON.stringify(body);
  const lines = Object.entries({ host: "localhost", "content-type": "application/json", ...headers })
    .map(([name, value]) => `${name}: ${value}\r\n`).join("");
  return Buffer.from(`POST ${path} HTTP/1.1\r\n${lines}content-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`);
}

/** Connections to one server, with one request in flight each. */
export class Load {
  readonly #connections: readonly Connection[];
  readonly #requests: Requests;
  #next = 0;
  #fail: (error: Error) => void = () => {};

  static async open(port: number, requests: Requests, connections: number): Promise<Load> {
    const opened = Array.from({ length: connections }, async () => {
      const socket = connect({ port, host: "127.0.0.1", noDelay: true });
      await once(socket, "connect");
      return socket;
    });
    const load = new Load(await Promise.all(opened), requests);
    // A server cuts connections that do not ask anything soon.
    await load.run(connections);
    return load;
  }

  constructor(sockets: readonly Socket[], requests: Requests) {
    this.#connections = sockets.map((socket) => new Connection(socket, (error) => this.#fail(error)));
    this.#requests = requests;
  }

  /** The body of the answer to one request. */
  async body(request: Buffer): Promise<string> {
    const connection = this.#connections[0]!;
    connection.keep = true;
    await new Promise<void>((resolve, reject) => {
      this.#fail = reject;
      connection.ask(request, resolve);
    });
    connection.keep = false;
    return connection.body;
  }

  /** Closed loop: every connection asks again as soon as it is answered. */
  async run(count: number): Promise<void> {
    let left = count;
    let open = 0;
    await new Promise<void>((resolve, reject) => {
      this.#fail = reject;
      const ask = (connection: Connection) => {
        if (left-- > 0) connection.ask(this.#take(), () => ask(connection));
        else if (--open === 0) resolve();
      };
      open = this.#connections.length;
      for (const connection of this.#connections) ask(connection);
    });
  }

  /** How many requests a second are answered in a closed loop. */
  async saturation(count: number): Promise<number> {
    const began = performance.now();
    await this.run(count);
    return count / (performance.now() - began) * 1_000;
  }

  /**
   * Open loop: requests come at random instants of a rate, whether or not earlier ones are answered, and each is timed from the
   * instant at which it should have been sent. Gives milliseconds, sorted.
   */
  async atRate(perSecond: number, seconds: number, random = mulberry(7)): Promise<Float64Array> {
    const times = new Float64Array(Math.round(perSecond * seconds));
    const idle = [...this.#connections];
    const waiting: number[] = [];
    let taken = 0;
    let sent = 0;
    let answered = 0;
    let due = performance.now();
    return await new Promise((resolve, reject) => {
      this.#fail = reject;
      const send = (connection: Connection, since: number) => {
        connection.ask(this.#take(), () => {
          times[answered++] = performance.now() - since;
          if (answered === times.length) resolve(times.sort());
          else if (taken < waiting.length) send(connection, waiting[taken++]!);
          else idle.push(connection);
        });
      };
      const turn = () => {
        for (const now = performance.now(); due <= now && sent < times.length; sent++) {
          const connection = idle.pop();
          if (connection) send(connection, due);
          else waiting.push(due);
          due -= Math.log(1 - random()) * 1_000 / perSecond;
        }
        // Not a timer: a millisecond is longer than an answer takes.
        if (sent < times.length) setImmediate(turn);
      };
      turn();
    });
  }

  #take(): Buffer {
    if (this.#next === this.#requests.length) this.#next = 0;
    return this.#requests[this.#next++]!;
  }

  close(): void {
    for (const connection of this.#connections) connection.close();
  }
}

/** Anything but a whole 200 is a failure: figures of failing requests mean nothing. */
class Connection {
  keep = false;
  body = "";
  readonly #socket: Socket;
  readonly #onFailure: (error: Error) => void;
  #done: (() => void) | undefined;
  /** Bytes that are still to come; -1: the head has not. */
  #left = -1;
  #isClosed = false;

  constructor(socket: Socket, onFailure: (error: Error) => void) {
    this.#socket = socket;
    this.#onFailure = onFailure;
    socket.on("data", (chunk: Buffer) => this.#read(chunk));
    socket.on("error", (error) => this.#fail(error.message));
    socket.on("close", () => this.#fail("the server hung up"));
  }

  ask(request: Buffer, done: () => void): void {
    this.#done = done;
    this.#socket.write(request);
  }

  #read(chunk: Buffer): void {
    let start = 0;
    if (this.#left < 0) {
      const end = chunk.indexOf("\r\n\r\n");
      const head = chunk.toString("latin1", 0, end);
      const length = /\r\ncontent-length: (\d+)/i.exec(head)?.[1];
      if (end < 0 || !head.startsWith("HTTP/1.1 200") || length === undefined) return this.#fail(String(chunk));
      start = end + 4;
      this.#left = Number(length);
      this.body = "";
    }
    this.#left -= chunk.length - start;
    if (this.keep) this.body += chunk.toString("utf8", start);
    if (this.#left > 0) return;
    if (this.#left < 0) return this.#fail(`more than was announced: ${String(chunk)}`);
    this.#left = -1;
    this.#done!();
  }

  #fail(why: string): void {
    if (!this.#isClosed) this.#onFailure(new Error(`Cannot measure: ${why}`));
  }

  close(): void {
    this.#isClosed = true;
    this.#socket.destroy();
  }
}

/** A share of sorted times. */
export function quantile(sorted: Float64Array, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!;
}

/** The same numbers every time. */
function mulberry(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
