/** Requests over HTTP with a deadline: tried again where that may help, and asked twice where one answer is late. */
import { type ErrorCode, errorCodes, messageOf, VarveError } from "../errors.ts";

/** How requests are sent. */
export interface TransportOptions {
  /** Where the server is: `https://features.example.com`, with a path where it stands behind one. */
  readonly url: string;
  /** An API key. */
  readonly key?: string;
  /** The longest that a call takes, tries and all. @default 2000 */
  readonly timeoutMs?: number;
  /** How often a call is tried again when the server is busy, restarts, or cannot be reached. @default 2 */
  readonly retries?: number;
  /**
   * Asks a second time when there is no answer after so long, and takes whichever comes first: for the slowest requests of a
   * fleet. @default never
   */
  readonly hedgeAfterMs?: number;
  /** Sends requests. @default the platform's fetch */
  readonly fetch?: typeof fetch;
}

/** Sends one body to one path. */
export type Post = (path: string, body: object, signal?: AbortSignal) => Promise<unknown>;

const firstWaitMs = 25;

/** Makes the sender of a client. */
export function transport(options: TransportOptions): Post {
  const { timeoutMs = 2_000, retries = 2, hedgeAfterMs, key } = options;
  const send = options.fetch ?? globalThis.fetch;
  const base = checkedUrl(options.url);
  const headers = {
    "content-type": "application/json",
    ...(key !== undefined && { authorization: `Bearer ${key}` }),
  };
  return async (path, body, signal) => {
    const url = `${base}${path}`;
    const text = JSON.stringify(body);
    const deadline = performance.now() + timeoutMs;
    const late = AbortSignal.timeout(timeoutMs);
    const stop = signal ? AbortSignal.any([signal, late]) : late;
    const once = (abort: AbortSignal) => ask(send, url, { method: "POST", headers, body: text, signal: abort });
    for (let attempt = 0;; attempt++) {
      try {
        return hedgeAfterMs === undefined ? await once(stop) : await hedged(once, hedgeAfterMs, stop);
      } catch (error) {
        if (signal?.aborted) throw signal.reason;
        if (late.aborted) throw tooLate(url, timeoutMs, error);
        const waitMs = waitOf(error, attempt);
        if (attempt >= retries || waitMs === undefined || performance.now() + waitMs >= deadline) throw error;
        await pause(waitMs, stop);
      }
    }
  };
}

function checkedUrl(url: string): string {
  let parsed: URL | undefined;
  try {
    parsed = new URL(url);
  } catch {
    // told below
  }
  if (parsed?.protocol === "http:" || parsed?.protocol === "https:") return url.replace(/\/+$/, "");
  throw new VarveError(
    "INVALID_CONFIG",
    `Cannot make a client for ${JSON.stringify(url)}: give the server's address, as in "http://localhost:6570"`,
  );
}

async function ask(send: typeof fetch, url: string, request: RequestInit): Promise<unknown> {
  let response: Response;
  try {
    response = await send(url, request);
  } catch (error) {
    throw new VarveError("UNAVAILABLE", `Cannot reach ${url}: ${messageOf(causeOf(error))}`, { cause: error });
  }
  if (!response.ok) throw await refused(response, url);
  try {
    return await response.json();
  } catch (error) {
    throw new VarveError("UNAVAILABLE", `Cannot read the answer of ${url}: ${messageOf(causeOf(error))}`, {
      cause: error,
    });
  }
}

function causeOf(error: unknown): unknown {
  return error instanceof Error && error.cause instanceof Error ? error.cause : error;
}

/** The server's own error, where it is one. */
async function refused(response: Response, url: string): Promise<VarveError> {
  const { status } = response;
  const retryAfter = Number(response.headers.get("retry-after") ?? NaN);
  const requestId = response.headers.get("x-request-id");
  const extra = {
    ...(Number.isFinite(retryAfter) && { retryAfterSeconds: retryAfter }),
    // It leads to the server's log.
    ...(requestId !== null && { requestId }),
  };
  const text = await response.text().catch(() => "");
  const { code, message, details } = told(text);
  const isOurs = typeof code === "string" && typeof message === "string";
  const known = isOurs && code in errorCodes ? code as ErrorCode : codeOf(status);
  if (isOurs) return new VarveError(known, message, { details: { ...details, ...extra } });
  // Something between here and the server has answered.
  return new VarveError(known, `Cannot read features: ${url} answers ${status} ${text.slice(0, 200)}`.trim(), {
    details: { status, ...extra },
  });
}

function told(text: string): { readonly code?: unknown; readonly message?: unknown; readonly details?: object } {
  try {
    return (JSON.parse(text) as object | null) ?? {};
  } catch {
    return {};
  }
}

/** What a status means where no code that is known says more. */
function codeOf(status: number): ErrorCode {
  if (status === 401) return "UNAUTHENTICATED";
  if (status === 403) return "FORBIDDEN";
  if (status === 404) return "NOT_FOUND";
  if (status === 429) return "RATE_LIMITED";
  return status >= 500 ? "UNAVAILABLE" : "INVALID_REQUEST";
}

/** How long to wait before the next try: as told, else longer each time and never the same; undefined where it cannot help. */
function waitOf(error: unknown, attempt: number): number | undefined {
  if (!(error instanceof VarveError) || !errorCodes[error.code].retry) return undefined;
  const told = error.details["retryAfterSeconds"];
  const own = firstWaitMs * 2 ** attempt * (0.5 + Math.random());
  return typeof told === "number" ? Math.max(own, told * 1000) : own;
}

/** The first answer of at most two; an error of one waits for the other. */
async function hedged<T>(
  once: (signal: AbortSignal) => Promise<T>,
  afterMs: number,
  stop: AbortSignal,
): Promise<T> {
  const ended = new AbortController();
  const signal = AbortSignal.any([stop, ended.signal]);
  const first = once(signal);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const second = new Promise<T>((resolve, reject) => {
    timer = setTimeout(() => {
      timer = undefined;
      void once(signal).then(resolve, reject);
    }, afterMs);
    // Without a second request the first one's failure is the answer.
    first.catch((error: unknown) => timer !== undefined && reject(error));
  });
  try {
    return await Promise.any([first, second]);
  } catch (error) {
    throw error instanceof AggregateError ? error.errors[0] : error;
  } finally {
    clearTimeout(timer);
    ended.abort();
  }
}

function tooLate(url: string, timeoutMs: number, cause: unknown): VarveError {
  return new VarveError("TIMEOUT", `Cannot read features: ${url} has not answered within ${timeoutMs} ms`, { cause });
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done, { once: true });
    function done() {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    }
  });
}
