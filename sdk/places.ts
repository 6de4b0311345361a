/** Where a store keeps what: picks the object store and the online store from a few settings. Loads neither DuckDB nor Polars. */
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { type OptionNames, VarveError } from "./errors.ts";
import { nameProblem } from "./schema.ts";
import { objectStoreFrom } from "./storage/object_open.ts";
import type { ObjectStore } from "./storage/object_store.ts";
import type { OnlineStore } from "./storage/online_store.ts";
import type { Clock } from "./time.ts";

/** How an S3 bucket is reached; what is left out comes from the computer's AWS configuration. */
export interface S3Settings {
  /** A server other than Amazon's: `http://127.0.0.1:9000`. */
  readonly endpoint?: string;
  /** The region of the bucket. */
  readonly region?: string;
  /** The name of the key, together with its secret. */
  readonly accessKeyId?: string;
  /** The secret of the key. */
  readonly secretAccessKey?: string;
}

export const s3Settings: OptionNames<S3Settings> = {
  endpoint: true,
  region: true,
  accessKeyId: true,
  secretAccessKey: true,
};

/** Where data lives. With nothing: embedded, under `./.varve`. */
export interface Places {
  /** A folder, or `s3://bucket/prefix`. @default ".varve" */
  readonly storage?: string;
  /** The online store's Redis; without it LMDB in the storage folder. */
  readonly redis?: string;
  /** How S3 is reached, where `storage` is there. */
  readonly s3?: S3Settings;
  /** Views of different workspaces never meet. @default "default" */
  readonly workspace?: string;
  /** Where copies of S3 objects are kept. @default "~/.cache/varve" */
  readonly cacheFolder?: string;
  /** How much such copies may take. @default 20 GB */
  readonly cacheBytes?: number;
}

export const placeOptions: OptionNames<Places> = {
  storage: true,
  redis: true,
  s3: true,
  workspace: true,
  cacheFolder: true,
  cacheBytes: true,
};

/** The folder when nothing is said. */
export const defaultFolder = ".varve";

/** Names the workspace, or says why it cannot be one. */
export function workspaceOf(places: Places): string {
  const workspace = places.workspace ?? "default";
  const problem = nameProblem(workspace);
  if (problem !== undefined) {
    throw new VarveError("INVALID_CONFIG", `Cannot open workspace ${JSON.stringify(workspace)}: ${problem}`);
  }
  return workspace;
}

/** The local folder of an embedded store; undefined when objects are in S3. */
export function folderOf(places: Places): string | undefined {
  const storage = places.storage ?? defaultFolder;
  if (storage.startsWith("file://")) return fileURLToPath(storage);
  return storage.includes("://") ? undefined : resolve(storage);
}

/** The folder for copies, spilled data and parts on their way. */
export function scratchFolder(places: Places): string {
  const folder = folderOf(places);
  return folder === undefined ? places.cacheFolder ?? join(homedir(), ".cache", "varve") : join(folder, "scratch");
}

/** Opens the object store. */
export function openObjects(places: Places): ObjectStore {
  const folder = folderOf(places);
  if (folder !== undefined) return objectStoreFrom(join(folder, "objects"), { cacheFolder: scratchFolder(places) });
  const { endpoint, region, accessKeyId, secretAccessKey } = places.s3 ?? {};
  return objectStoreFrom(places.storage!, {
    cacheFolder: join(scratchFolder(places), "objects"),
    ...(places.cacheBytes === undefined ? {} : { cacheBytes: places.cacheBytes }),
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(region === undefined ? {} : { region }),
    ...(accessKeyId === undefined || secretAccessKey === undefined
      ? {}
      : { credentials: { accessKeyId, secretAccessKey } }),
  });
}

/** Opens the online store: Redis where one is named, else LMDB beside the objects. */
export async function openOnline(places: Places, clock: Clock): Promise<OnlineStore> {
  const workspace = workspaceOf(places);
  if (places.redis !== undefined) {
    const { redisOnlineStore } = await import("./storage/online_redis.ts");
    return redisOnlineStore({ url: places.redis, workspace });
  }
  const folder = folderOf(places);
  if (folder === undefined) {
    throw new VarveError(
      "INVALID_CONFIG",
      'Cannot open the online store: objects are in S3 and no Redis is named; give redis: "redis://host:6379"',
    );
  }
  const { lmdbOnlineStore } = await import("./storage/online_lmdb.ts");
  return lmdbOnlineStore(join(folder, "online", workspace), { clock });
}
