/** The store of a command, for as long as it runs. */
import type { Store } from "varve";
import { connect, connectToRead } from "../connect.ts";
import { connectOptions } from "../settings.ts";
import type { CommandContext } from "./main.ts";

type Use = (store: Store) => Promise<void>;

/** For a command that may write. */
export async function withStore({ config }: CommandContext, use: Use): Promise<void> {
  await closing(await connect(connectOptions(config)), use);
}

/** For a command that reads, or makes room: it works where the disk is full. */
export async function withStoreToRead({ config }: CommandContext, use: Use): Promise<void> {
  await closing(await connectToRead(connectOptions(config)), use);
}

async function closing(store: Store, use: Use): Promise<void> {
  try {
    await use(store);
  } finally {
    await store.close();
  }
}
