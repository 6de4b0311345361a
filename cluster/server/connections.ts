/** Lets clients go before a server closes. */
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";

/** The open connections of a server, and which of them wait for an answer. */
export class Connections {
  /** By when they were opened, `performance.now()`. */
  readonly #open = new Map<Socket, number>();
  /** How many requests each connection has in flight. */
  readonly #busy = new Map<Socket, number>();
  #onEmpty: (() => void) | undefined;

  /**
   * Counts requests that are being answered in `load`; hangs up on who comes when there are `most` connections. Node's own limit
   * would let several processes hand such a connection round among them for ever.
   */
  constructor(server: Server, load: { inFlight: number }, most: number) {
    server.on("connection", (socket: Socket) => {
      if (this.#open.size >= most) {
        socket.destroy();
        return;
      }
      this.#open.set(socket, performance.now());
      socket.once("close", () => {
        this.#open.delete(socket);
        this.#busy.delete(socket);
        if (this.#open.size === 0) this.#onEmpty?.();
      });
    });
    server.on("request", ({ socket }: IncomingMessage, response: ServerResponse) => {
      load.inFlight++;
      this.#busy.set(socket, (this.#busy.get(socket) ?? 0) + 1);
      response.once("close", () => {
        load.inFlight--;
        const left = (this.#busy.get(socket) ?? 1) - 1;
        if (left > 0) this.#busy.set(socket, left);
        else this.#busy.delete(socket);
      });
    });
  }

  /** How many are open. */
  get count(): number {
    return this.#open.size;
  }

  /**
   * Waits until all clients have gone, but not longer than this. A client that is cut off between two requests cannot know
   * whether its next one was heard; one that gets a last answer with `connection: close` does.
   */
  async emptied(limitMs: number): Promise<void> {
    if (this.#open.size === 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, limitMs);
      this.#onEmpty = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Closes the connections that ask nothing, also those that never did; but none that was opened since. */
  cutIdle(since = Infinity): void {
    for (const [socket, opened] of this.#open) if (opened < since && !this.#busy.has(socket)) socket.destroy();
  }
}
