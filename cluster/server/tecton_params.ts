/** Reads the parameters of a request in Tecton's dialect, whose fields come in camelCase and in snake_case. */
import { VarveError } from "varve";

/** What both endpoints read beside the rows. */
export interface VectorOptions {
  readonly metadataOptions?: Readonly<Record<string, boolean>>;
  readonly requestOptions?: {
    readonly latencyBudgetMs?: number;
    readonly ignoreExtraRequestContextFields?: boolean;
  };
  readonly allowPartialResults?: boolean;
}

/** One row of a request. */
export interface VectorRow {
  readonly joinKeyMap?: Readonly<Record<string, unknown>>;
  readonly requestContextMap?: Readonly<Record<string, unknown>>;
}

/** Which service of which workspace is meant. */
export interface ServiceNames {
  readonly workspaceName?: string;
  readonly featureServiceName?: string;
  readonly featureServiceId?: string;
}

/** The body with the fields of the request itself in camelCase, without nulls; join keys and request context stay as they are. */
export function camelCased(body: unknown): unknown {
  if (!isRecord(body) || !isRecord(body["params"])) return body;
  const params = camelKeys(body["params"]);
  const { metadataOptions, requestOptions, requestData } = params;
  const inner = {
    metadataOptions: camelKeysOf(metadataOptions),
    requestOptions: camelKeysOf(requestOptions),
    requestData: camelRows(requestData),
  };
  const isSame = params === body["params"] && inner.metadataOptions === metadataOptions &&
    inner.requestOptions === requestOptions && inner.requestData === requestData;
  if (isSame) return body;
  const changed: Record<string, unknown> = { ...params };
  // What is not there must not be there as undefined.
  for (const [name, value] of Object.entries(inner)) if (value !== undefined) changed[name] = value;
  return { ...body, params: changed };
}

function camelRows(rows: unknown): unknown {
  if (!Array.isArray(rows)) return rows;
  const mapped = rows.map(camelKeysOf);
  return mapped.some((row, i) => row !== rows[i]) ? mapped : rows;
}

function camelKeysOf(value: unknown): unknown {
  return isRecord(value) ? camelKeys(value) : value;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A field that is null was not given: the public Java client sends such. */
function camelKeys(value: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  if (isCamel(value)) return value;
  const found: Record<string, unknown> = {};
  for (const key of Object.keys(value)) {
    if (value[key] === null) continue;
    const name = key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
    if (Object.hasOwn(found, name)) {
      const text = `Cannot read the request: ${name} is there twice, in camelCase and in snake_case; give it once`;
      throw new VarveError("INVALID_REQUEST", text);
    }
    found[name] = value[key];
  }
  return found;
}

function isCamel(value: Readonly<Record<string, unknown>>): boolean {
  for (const key in value) if (value[key] === null || key.includes("_")) return false;
  return true;
}

/** The service that is meant; what the path and the body both name must be the same. */
export function serviceMeant(workspace: string, body: ServiceNames, path: ServiceNames): string {
  refuseOther(workspace, path.workspaceName);
  refuseOther(workspace, body.workspaceName);
  const name = path.featureServiceName ?? body.featureServiceName ?? body.featureServiceId;
  if (isOrAbsent(body.featureServiceName, name) && isOrAbsent(body.featureServiceId, name)) return name!;
  const given = [path.featureServiceName, body.featureServiceName, body.featureServiceId];
  const names = new Set(given.filter((each) => each !== undefined));
  throw new VarveError(
    "INVALID_REQUEST",
    `Cannot read the request: it names ${
      [...names].map((each) => JSON.stringify(each)).join(" and ")
    }; name one service`,
  );
}

function isOrAbsent(given: string | undefined, name: string | undefined): boolean {
  return given === undefined || given === name;
}

function refuseOther(workspace: string, given: string | undefined): void {
  if (isOrAbsent(given, workspace)) return;
  throw new VarveError(
    "NOT_FOUND",
    `Cannot read workspace ${JSON.stringify(given)}: this server serves ${JSON.stringify(workspace)}`,
    { details: { workspace: given! } },
  );
}
