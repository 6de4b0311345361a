/**
 * A raw connection to one Redis for writing much: bytes go out as they are, answers are counted and looked at line by line.
 * A client library pays for every argument and every answer, this pays for every buffer.
 */
import { once } from "node:events";
import { connect as connectPlain, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { VarveError } from "../errors.ts";
import { redisError, type SocketTarget } from "./redis_client.ts";

/** What takes the answers: their first line, in order. */
export type AnswerListener = (line: string) => void;

/** One connection, used by one writer at a time. */
export class RedisSocket {
  readonly #socket: Socket;
  readonly #description: string;
  readonly #timeoutMs: number;
  #rest: Buffer | undefined;
  #skipLine = false;
  #onAnswer: AnswerListener = () => {};
  #wake: (() => void) | undefined;
  #failure: VarveError | undefined;

  private constructor(socket: Socket, target: SocketTarget, description: string) {
    this.#socket = socket;
    this.#description = description;
    this.#timeoutMs = target.timeoutMs;
    socket.on("data", (chunk: Buffer) => this.#read(chunk));
    socket.on("error", (error) => this.#fail(error));
    socket.on("close", () => this.#fail(new Error("the connection was closed")));
    socket.on("timeout", () => this.destroy(new Error(`no answer within ${target.timeoutMs} ms`)));
  }

  /** Connects, gives credentials and chooses the database. */
  static async connect(target: SocketTarget, description: string): Promise<RedisSocket> {
    const { host, port, path, tls } = target;
    const socket = path !== undefined
      ? connectPlain({ path })
      : tls
      ? connectTls({ host: host!, port: port!, ...(isIP(host!) === 0 && { servername: host! }), ...tls })
      : connectPlain({ host: host!, port: port! });
    try {
      await once(socket, tls ? "secureConnect" : "connect", { signal: AbortSignal.timeout(target.connectTimeoutMs) });
    } catch (error) {
      socket.destroy();
      throw redisError(
        description,
        error instanceof Error && error.name === "AbortError" ? new Error("no answer") : error,
      );
    }
    socket.setNoDelay(true);
    const connection = new RedisSocket(socket, target, description);
    await connection.#handshake(target);
    return connection;
  }

  async #handshake({ username, password, database }: SocketTarget): Promise<void> {
    const commands: string[][] = [];
    if (password !== undefined) {
      commands.push(username === undefined ? ["AUTH", password] : ["AUTH", username, password]);
    }
    if (database !== 0) commands.push(["SELECT", String(database)]);
    for (const words of commands) await this.command(words);
  }

  /** Sends one command and waits for its answer's first line. */
  async command(words: readonly string[]): Promise<string> {
    let answer: string | undefined;
    this.begin((line) => answer = line);
    const text = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join("");
    this.write(Buffer.from(`*${words.length}\r\n${text}`));
    while (answer === undefined) await this.progress();
    this.end();
    if (answer[0] === "-") throw redisError(this.#description, new Error(answer.slice(1)));
    return answer;
  }

  /** Whether it can be used again. */
  get isAlive(): boolean {
    return this.#failure === undefined;
  }

  /** Starts a use: silence counts as failure from now on, and the process waits for it. */
  begin(onAnswer: AnswerListener): void {
    this.#onAnswer = onAnswer;
    this.#socket.setTimeout(this.#timeoutMs);
    this.#socket.ref();
  }

  /** Ends a use. */
  end(): void {
    this.#onAnswer = () => {};
    this.#socket.setTimeout(0);
    this.#socket.unref();
  }

  /** Hands bytes to the system; `onSent` is called when they may be overwritten. */
  write(bytes: Uint8Array, onSent?: () => void): void {
    if (this.#failure) throw this.#failure;
    this.#socket.write(bytes, () => {
      onSent?.();
      this.#notify();
    });
  }

  /** Waits until something was sent or answered; throws when the connection is lost. */
  async progress(): Promise<void> {
    if (this.#failure) throw this.#failure;
    await new Promise<void>((resolve) => this.#wake = resolve);
    if (this.#failure) throw this.#failure;
  }

  destroy(reason: Error = new Error("the connection was closed")): void {
    this.#fail(reason);
    this.#socket.destroy();
  }

  #fail(error: Error): void {
    this.#failure ??= redisError(this.#description, error);
    this.#notify();
  }

  #notify(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  #read(chunk: Buffer): void {
    const bytes = this.#rest ? Buffer.concat([this.#rest, chunk]) : chunk;
    let start = 0;
    for (;;) {
      const end = bytes.indexOf(0x0a, start);
      if (end < 0) break;
      if (this.#skipLine) this.#skipLine = false;
      else {
        // A text answer has its length in the first line and the text in a second one.
        if (bytes[start] === 0x24) this.#skipLine = true;
        const isOk = bytes[start] === 0x2b && end === start + 4;
        this.#onAnswer(isOk ? "+OK" : bytes.toString("latin1", start, end - 1));
      }
      start = end + 1;
    }
    this.#rest = start < bytes.length ? bytes.subarray(start) : undefined;
    this.#notify();
  }
}
