/** A network between clients and a server that forgets connections without a word: what is sent over them goes nowhere. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

export interface ForgetfulProxy {
  readonly port: number;
  /** Forgets the connections that there are; new ones work. Gives how many there were. */
  forget(): number;
  close(): void;
}

/** To a server on this computer. */
export async function startForgetfulProxy(serverPort: number): Promise<ForgetfulProxy> {
  const known = new Set<Socket>();
  const forgotten = new Set<Socket>();
  const proxy = createServer((near) => {
    const far = connect(serverPort, "127.0.0.1");
    known.add(near);
    near.on("data", (bytes) => void (forgotten.has(near) || far.write(bytes)));
    far.on("data", (bytes) => void (forgotten.has(near) || near.write(bytes)));
    near.on("error", () => {}).on("close", () => {
      known.delete(near);
      far.destroy();
    });
    far.on("error", () => {}).on("close", () => void (forgotten.has(near) || near.destroy()));
  });
  await once(proxy.listen(0, "127.0.0.1"), "listening");
  return {
    port: (proxy.address() as AddressInfo).port,
    forget() {
      for (const socket of known) forgotten.add(socket);
      const count = known.size;
      known.clear();
      return count;
    },
    close() {
      for (const socket of [...known, ...forgotten]) socket.destroy();
      proxy.close();
    },
  };
}
