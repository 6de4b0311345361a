/** A Redis of a few lines that can behave in ways a real one seldom does: a test says what it answers. */
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import type { OnlineStore } from "../../sdk/storage/online_store.ts";
import { keyOf } from "./online_rows.ts";

/** Answers one command, or does something else with its connection. */
export type Answer = (words: readonly string[], socket: Socket, connection: number) => string | undefined;

/** Every key's value is the key itself. */
export const echo = (words: readonly string[]) =>
  words[0] === "PING" ? "+PONG\r\n" : `*${words.length - 1}\r\n${words.slice(1).map(textOf).join("")}`;
const textOf = (word: string) => `$${word.length}\r\n${word}\r\n`;

/** See the file's sentence. */
export class SmallRedis {
  connections = 0;
  answer: Answer = echo;
  readonly #server = createServer((socket) => this.#serve(socket));
  readonly #sockets = new Set<Socket>();

  async listen(): Promise<string> {
    await once(this.#server.listen(0, "127.0.0.1"), "listening");
    return `redis://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }

  #serve(socket: Socket): void {
    const connection = ++this.connections;
    this.#sockets.add(socket);
    let text = "";
    socket.on("error", () => {}).on("close", () => this.#sockets.delete(socket));
    socket.on("data", (chunk: Buffer) => {
      text += chunk.toString("latin1");
      for (;;) {
        const command = commandOf(text);
        if (!command) return;
        text = text.slice(command.length);
        const answer = this.answer(command.words, socket, connection);
        if (answer !== undefined) socket.write(answer, "latin1");
      }
    });
  }
}

/** The first command, when it is whole. */
function commandOf(text: string): { words: string[]; length: number } | undefined {
  const head = /^\*(\d+)\r\n/.exec(text);
  if (!head) return undefined;
  const words: string[] = [];
  let at = head[0].length;
  while (words.length < Number(head[1])) {
    const line = /^\$(\d+)\r\n/.exec(text.slice(at));
    if (!line) return undefined;
    const start = at + line[0].length;
    at = start + Number(line[1]) + 2;
    if (at > text.length) return undefined;
    words.push(text.slice(start, at - 2));
  }
  return { words, length: at };
}

/** The key that comes back as the value: its end is the entity's key. */
export async function ask(store: OnlineStore, ...ids: readonly number[]): Promise<boolean> {
  const keys = ids.map(keyOf);
  const values = await store.getMany(ids.map(() => "c"), keys);
  return values.every((value, i) =>
    value !== undefined && Buffer.from(keys[i]!).equals(Buffer.from(value).subarray(-keys[i]!.length))
  );
}
