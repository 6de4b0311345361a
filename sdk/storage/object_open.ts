/** The object store that a URL names. */
import { fileURLToPath } from "node:url";
import { VarveError } from "../errors.ts";
import { localObjectStore } from "./object_local.ts";
import { s3ObjectStore } from "./object_s3.ts";
import type { S3Options } from "./object_s3_client.ts";
import type { ObjectStore } from "./object_store.ts";

/** What an `s3://` URL does not say; folders need none of it. */
export type ObjectStoreOptions = Omit<S3Options, "bucket" | "prefix">;

/** Opens `s3://bucket/prefix`, `file:///folder` or a path. */
export function objectStoreFrom(url: string, options: ObjectStoreOptions): ObjectStore {
  const fail = (why: string) =>
    new VarveError(
      "INVALID_CONFIG",
      `Cannot open object store ${
        JSON.stringify(withoutUser(url))
      }: ${why}; give s3://bucket/prefix, file:///folder or a path`,
    );
  if (url.trim() === "") throw fail("it is empty");
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]+):\/\//.exec(url)?.[1]?.toLowerCase();
  if (scheme === undefined) return localObjectStore(url);
  if (scheme === "file") return localObjectStore(fileURLToPath(url));
  if (scheme !== "s3") throw fail(`${scheme} is not supported`);
  const [, bucket, prefix = ""] = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/(.*))?$/i.exec(url) ?? [];
  if (bucket === undefined) throw fail("it has no bucket, or one that cannot be");
  return s3ObjectStore({ ...options, bucket, prefix });
}

function withoutUser(url: string): string {
  return url.replace(/\/\/[^/@]*@/, "//***@");
}
