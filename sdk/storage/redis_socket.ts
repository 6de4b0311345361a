/**
 * A raw connection to one Redis: bytes go out as they are. For who writes much, answers are counted and looked at line by line; who
 * reads takes the bytes as they come. A client library pays for every argument and every answer, this pays for every buffer.
 */
import { once } from "node:events";
import { connect as connectPlain, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { VarveError } from "../errors.ts";
import { noAnswer, redisError, type SocketTarget } from "./redis_client.ts";

/** What takes the answers: their first line, in order. */
export type AnswerListener = (line: string) => void;

/** One connection, used by one writer at a time. */
export class RedisSocket {
  readonly #socket: Socket;
  readonly #description: string;
  readonly #silenceMs: number;
  #rest: Buffer | undefined;
  #skipLine = false;
  #onAnswer: AnswerListener = () => {};
  #wake: (() => void) | undefined;
  #failure: VarveError | undefined;
  #onBytes: (chunk: Buffer) => void = (chunk) => this.#read(chunk);
  #onEnd: ((error: VarveError) => void) | undefined;

  private constructor(socket: Socket, description: string, silenceMs: number) {
    this.#socket = socket;
    this.#description = description;
    this.#silenceMs = silenceMs;
    socket.on("data", (chunk: Buffer) => this.#onBytes(chunk));
    socket.on("error", (error) => this.#fail(error));
    socket.on("close", () => this.#fail(new Error("the connection was closed")));
    endWhenSilent(socket, silenceMs);
  }

  /**
   * Connects, gives credentials and chooses the database. A server that says nothing for `silenceMs` while it is waited for is given
   * up, now and in every later use.
   */
  static async connect(
    target: SocketTarget,
    description: string,
    silenceMs: number = target.timeoutMs,
  ): Promise<RedisSocket> {
    const { host, port, path, tls, connectTimeoutMs } = target;
    const socket = path !== undefined
      ? connectPlain({ path })
      : tls
      ? connectTls({ host: host!, port: port!, ...(isIP(host!) === 0 && { servername: host! }), ...tls })
      : connectPlain({ host: host!, port: port! });
    const connection = new RedisSocket(socket, description, silenceMs);
    // A name that is looked up is no silence of the server, and looking again would hold one more thread of the few there are.
    if (path !== undefined || isIP(host!) !== 0) socket.setTimeout(silenceMs);
    else socket.once("lookup", () => socket.setTimeout(silenceMs));
    const timer = setTimeout(() => socket.destroy(noAnswer(connectTimeoutMs)), connectTimeoutMs);
    try {
      await once(socket, tls ? "secureConnect" : "connect");
      socket.setNoDelay(true);
      await connection.#handshake(target);
    } catch (error) {
      connection.destroy();
      throw redisError(description, error);
    } finally {
      clearTimeout(timer);
    }
    return connection;
  }

  async #handshake({ username, password, database }: SocketTarget): Promise<void> {
    const commands: string[][] = [];
    if (password !== undefined) {
      commands.push(username === undefined ? ["AUTH", password] : ["AUTH", username, password]);
    }
    if (database !== 0) commands.push(["SELECT", String(database)]);
    for (const words of commands) {
      const refusal = await this.#refusal(words);
      // A password that the server does not ask for does no harm.
      if (refusal && !/no password is set|without any password configured/.test(refusal.message)) {
        throw this.error(refusal);
      }
    }
  }

  /** Waits while the server reads its disk and answers nothing else, but not longer than this. Throws when it takes no commands. */
  async loaded(limitMs: number): Promise<void> {
    const end = performance.now() + limitMs;
    for (;;) {
      const refusal = await this.#refusal(["PING"]);
      // Who may not ping may still read.
      if (!refusal || refusal.message.startsWith("NOPERM")) return;
      if (!refusal.message.startsWith("LOADING") || performance.now() >= end) this.destroy(refusal);
      if (this.#failure) throw this.#failure;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** Sends one command and waits for its answer; gives the server's words when it refuses. */
  async #refusal(words: readonly string[]): Promise<Error | undefined> {
    let answer: string | undefined;
    this.begin((line) => answer = line);
    const text = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join("");
    this.write(Buffer.from(`*${words.length}\r\n${text}`));
    while (answer === undefined) await this.progress();
    this.end();
    return answer[0] === "-" ? new Error(answer.slice(1)) : undefined;
  }

  /**
   * Gives bytes as they come from now on, and then the end of the connection. There is no limit to silence: whoever reads knows what
   * was asked when.
   */
  handOver(onBytes: (chunk: Buffer) => void, onEnd: (error: VarveError) => void): void {
    if (this.#failure) throw this.#failure;
    this.#onBytes = onBytes;
    this.#onEnd = onEnd;
    this.#socket.ref();
  }

  /** An error of the server in varve's words. */
  error(cause: Error): VarveError {
    return redisError(this.#description, cause);
  }

  /** Why it cannot be used again. */
  get failure(): VarveError | undefined {
    return this.#failure;
  }

  /** Starts a use: silence counts as failure from now on, and the process waits for it. */
  begin(onAnswer: AnswerListener): void {
    this.#onAnswer = onAnswer;
    this.#socket.setTimeout(this.#silenceMs);
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
    const isFirst = this.#failure === undefined;
    this.#failure ??= redisError(this.#description, error);
    this.#notify();
    if (isFirst) this.#onEnd?.(this.#failure);
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

/** Ends a connection on which nothing happened for the time that is set. What came while this process was busy counts. */
function endWhenSilent(socket: Socket, silenceMs: number): void {
  socket.on("timeout", () => {
    const { connecting, bytesRead } = socket;
    setImmediate(() => {
      // Nobody waits any more.
      if (!socket.timeout) return;
      if (socket.connecting !== connecting || socket.bytesRead !== bytesRead) socket.setTimeout(silenceMs);
      else socket.destroy(noAnswer(silenceMs));
    });
  });
}
