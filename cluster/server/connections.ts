/** Lets clients go before a server closes. */
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";

/** A connection. */
interface Open {
  /** When it was opened, `performance.now()`. */
  readonly since: number;
  /** How many requests it has in flight. */
  busy: number;
  /** One of them has been answered. */
  readonly answered: () => void;
}

/** The open connections of a server, and which of them wait for an answer. */
export class Connections {
  readonly #open = new Map<Socket, Open>();
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
      const open: Open = {
        since: performance.now(),
        busy: 0,
        answered: () => {
          load.inFlight--;
          open.busy--;
        },
      };
      this.#open.set(socket, open);
      socket.once("close", () => {
        this.#open.delete(socket);
        if (this.#open.size === 0) this.#onEmpty?.();
      });
    });
    server.on("request", ({ socket }: IncomingMessage, response: ServerResponse) => {
      const open = this.#open.get(socket);
      // A connection that was hung up on may still have asked.
      if (!open) return;
      load.inFlight++;
      open.busy++;
      // It closes but once, and `on` costs less than `once`.
      response.on("close", open.answered);
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
    for (const [socket, open] of this.#open) if (open.since < since && open.busy === 0) socket.destroy();
  }
}
