/**
 * Reads over a raw connection to one Redis: commands go out as they are made, any number at a time, and answers come back in their
 * order. Connects at the first command, and again when the connection was lost. A client library pays for a command many times what
 * its bytes cost.
 */
import { VarveError } from "../errors.ts";
import { noAnswer, type RedisConnection, redisError, retryDelayMs, type SocketTarget } from "./redis_client.ts";
import { type Reply, ReplyReader, type Values } from "./redis_replies.ts";
import { RedisSocket } from "./redis_socket.ts";

/**
 * How long a server may be silent, in ms, while a connection is made and while commands wait: time enough for a packet that was lost
 * to be sent again, which systems do after a second, and so short that reads are answered soon after the network is back.
 */
const maxSilenceMs = 1_500;

/** A command that has no answer yet. */
interface Command {
  readonly bytes: Buffer;
  /** How many values it gives. */
  readonly count: number;
  /** When it is given up, `performance.now()`. */
  readonly deadline: number;
  /** Its connection was lost: reading once more does no harm, but once is enough. */
  isSentAgain: boolean;
  readonly resolve: (values: Values) => void;
  readonly reject: (error: VarveError) => void;
}

/** Sends commands that read to one server. */
export class RedisPipeline {
  readonly #connection: RedisConnection;
  readonly #target: SocketTarget;
  readonly #description: string;
  #channel: Channel | undefined;
  #connecting: Promise<Channel> | undefined;
  /** So many attempts to connect have failed, the last with this, and the next is made at this instant: of `performance.now()`. */
  #failures = 0;
  #failure: unknown;
  #retryAt = -Infinity;
  #isClosed = false;

  /** To the server of a connection, which may know earlier that it is back. */
  constructor(connection: RedisConnection, target: SocketTarget) {
    this.#connection = connection;
    this.#target = target;
    this.#description = connection.description;
  }

  /** Sends bytes that are a whole command which gives so many values. Fails at once when there was no server a moment ago. */
  read(bytes: Buffer, count: number): Promise<Values> {
    return new Promise((resolve, reject) => {
      const deadline = performance.now() + this.#target.timeoutMs;
      this.#send({ bytes, count, deadline, isSentAgain: false, resolve, reject });
    });
  }

  close(): void {
    this.#isClosed = true;
    this.#channel?.end(this.#closed());
  }

  #send(command: Command): void {
    if (this.#channel?.isOpen) return this.#channel.send(command);
    this.#connected().then(
      (channel) => channel.send(command),
      (error: unknown) => command.reject(redisError(this.#description, error)),
    );
  }

  async #connected(): Promise<Channel> {
    if (this.#isClosed) throw this.#closed();
    if (!this.#connecting) {
      if (performance.now() < this.#retryAt && !this.#connection.isReady) throw this.#failure;
      this.#connecting = this.#connect().finally(() => this.#connecting = undefined);
    }
    return await this.#connecting;
  }

  async #connect(): Promise<Channel> {
    const started = performance.now();
    try {
      const { timeoutMs, connectTimeoutMs } = this.#target;
      const silenceMs = Math.min(maxSilenceMs, timeoutMs, connectTimeoutMs);
      const socket = await RedisSocket.connect(this.#target, this.#description, silenceMs);
      await socket.loaded(connectTimeoutMs);
      const channel = new Channel(socket, timeoutMs, {
        onLost: (lost, error) => this.#lost(lost, error),
        onSilent: (silent) => this.#replace(silent),
      });
      if (this.#isClosed) channel.end(this.#closed());
      else this.#channel = channel;
      this.#failures = 0;
      return channel;
    } catch (error) {
      this.#failure = error;
      this.#retryAt = started + retryDelayMs(++this.#failures);
      throw error;
    }
  }

  /**
   * The network may have forgotten a connection that is silent, or the server is busy: then there is no new one either, and the
   * answers may still come. A new one takes the place of the old, and with it all that has no answer by then.
   */
  #replace(silent: Channel): void {
    this.#connected().then(() => silent.giveUp(), () => undefined);
  }

  #lost(commands: readonly Command[], error: VarveError): void {
    for (const command of commands) {
      if (command.isSentAgain || this.#isClosed) command.reject(error);
      else {
        command.isSentAgain = true;
        this.#send(command);
      }
    }
  }

  #closed(): VarveError {
    return new VarveError("UNAVAILABLE", `Cannot use ${this.#description}: it was closed`);
  }
}

/** What is told of a channel. */
interface ChannelListener {
  /** It has ended, and these commands have no answer. */
  onLost(commands: readonly Command[], error: VarveError): void;
  /** Nothing has come for long, and commands wait; told again as long as it is so. */
  onSilent(channel: Channel): void;
}

/** One connection, and the commands that were sent on it. */
class Channel {
  readonly #socket: RedisSocket;
  readonly #timeoutMs: number;
  readonly #silenceMs: number;
  readonly #replies = new ReplyReader((reply) => this.#answer(reply));
  /** In order, without those that are answered. */
  readonly #commands: Command[] = [];
  /** When something came last. */
  #heardAt = performance.now();
  #timer: NodeJS.Timeout | undefined;
  /** When the timer fires. */
  #due = Infinity;
  readonly #listener: ChannelListener;

  constructor(socket: RedisSocket, timeoutMs: number, listener: ChannelListener) {
    this.#socket = socket;
    this.#timeoutMs = timeoutMs;
    this.#silenceMs = Math.min(maxSilenceMs, timeoutMs);
    this.#listener = listener;
    socket.handOver((chunk) => this.#read(chunk), (error) => {
      clearTimeout(this.#timer);
      listener.onLost(this.#commands.splice(0), error);
    });
  }

  get isOpen(): boolean {
    return this.#socket.failure === undefined;
  }

  send(command: Command): void {
    const { failure } = this.#socket;
    // It ended before its first command.
    if (failure) return this.#listener.onLost([command], failure);
    this.#commands.push(command);
    const due = command.deadline - (command.isSentAgain ? 0 : this.#timeoutMs - this.#silenceMs);
    if (due < this.#due) this.#lookAt(due);
    this.#socket.write(command.bytes);
  }

  end(error: Error): void {
    this.#socket.destroy(error);
  }

  /** Ends it because it is silent. */
  giveUp(): void {
    this.end(this.#socket.error(noAnswer(this.#silenceMs)));
  }

  #read(chunk: Buffer): void {
    this.#heardAt = performance.now();
    try {
      this.#replies.read(chunk);
    } catch (error) {
      // What comes next on this connection could be the answer to anything.
      this.#fail(this.#commands.splice(0), error as Error);
    }
  }

  #answer(reply: Reply): void {
    const command = this.#commands[0];
    if (!command) throw new Error("it answers what was not asked");
    if (!(reply instanceof Error) && reply.length !== command.count) {
      throw new Error(`it answers ${reply.length} values to ${command.count} keys`);
    }
    this.#commands.shift();
    if (reply instanceof Error) command.reject(this.#socket.error(reply));
    else command.resolve(reply);
  }

  #lookAt(instant: number): void {
    clearTimeout(this.#timer);
    this.#due = instant;
    // What came while this process was busy is read first.
    const look = () => setImmediate(() => this.#look());
    this.#timer = setTimeout(look, Math.max(1, Math.ceil(instant - performance.now()))).unref();
  }

  /** Gives up commands that are late. Whether the server hangs or the network swallows all: the others try a new connection. */
  #look(): void {
    this.#due = Infinity;
    const now = performance.now();
    const late = this.#commands.filter(({ deadline }) => deadline <= now);
    if (late.length > 0) {
      this.#commands.splice(0, this.#commands.length, ...this.#commands.filter(({ deadline }) => deadline > now));
      this.#fail(late, noAnswer(this.#timeoutMs));
    } else if (this.#commands.length > 0) {
      const silentAt = this.#silentAt();
      if (silentAt <= now) this.#listener.onSilent(this);
      const again = silentAt <= now ? now + this.#silenceMs : silentAt;
      this.#lookAt(Math.min(again, ...this.#commands.map(({ deadline }) => deadline)));
    }
  }

  /** When the command that waits longest has heard nothing for long; never where it was sent again: it has all the time it has. */
  #silentAt(): number {
    const { deadline, isSentAgain } = this.#commands[0]!;
    return isSentAgain ? Infinity : Math.max(deadline - this.#timeoutMs, this.#heardAt) + this.#silenceMs;
  }

  /** Commands fail, and the connection ends. */
  #fail(commands: readonly Command[], cause: Error): void {
    const error = this.#socket.error(cause);
    this.#socket.destroy(error);
    for (const command of commands) command.reject(error);
  }
}
