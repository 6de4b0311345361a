/** Where the audit log of a workspace lies in the object store: one folder a day and service, parts that never change. */
import { randomUUID } from "node:crypto";
import { formatTimestamp, type Micros } from "../time.ts";

/** A part by what its key says. */
export interface AuditPart {
  readonly key: string;
  /** The UTC day of its requests. */
  readonly day: string;
  readonly service: string;
  /** Parts of one shape have the same columns. */
  readonly shape: string;
}

/** All parts start with this, the oldest day first. */
export function partsPrefix(workspace: string): string {
  return `${workspace}/audit/date=`;
}

/** The object with the secret that keys are hashed with. */
export function saltKey(workspace: string): string {
  return `${workspace}/audit/salt`;
}

/** A key for a part that begins with a request at this instant; nobody else has it. */
export function newPartKey(workspace: string, service: string, shape: string, first: Micros): string {
  const time = formatTimestamp(first).replaceAll(/[-:]/g, "");
  return `${partsPrefix(workspace)}${dayOf(first)}/service=${service}/${time}-${shape}-${randomUUID()}.parquet`;
}

/** What a key says; undefined for what is no part. */
export function partOf(workspace: string, key: string): AuditPart | undefined {
  const rest = key.slice(partsPrefix(workspace).length);
  const found = /^(\d{4}-\d{2}-\d{2})\/service=([^/]+)\/[^/-]+-([0-9a-f]+)-[^/]+\.parquet$/.exec(rest);
  return found ? { key, day: found[1]!, service: found[2]!, shape: found[3]! } : undefined;
}

/** The UTC day of an instant. */
export function dayOf(at: Micros): string {
  return formatTimestamp(at).slice(0, 10);
}
