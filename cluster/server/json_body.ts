/** Bodies are JSON in valid UTF-8, of parts that are not too large, and nothing else. */
import { isAscii, isUtf8 } from "node:buffer";
import { VarveError } from "varve";
import { bodyBytes } from "./body_bytes.ts";
import { clientError } from "./errors_http.ts";
import type { FastifyInstance, FastifyRequest } from "./fastify.ts";
import { checkSizes } from "./json_limits.ts";
import type { JsonLimits } from "./json_limits.ts";

/** See the server's configuration. */
export interface BodyLimits extends JsonLimits {
  readonly bodyLimitBytes: number;
}

/** Takes the value of a body, or what is wrong with it. */
type Done = (error: Error | null, value?: unknown) => void;

/**
 * Replaces fastify's parsers: they read text/plain too, put replacement characters where bytes are no text, and round large
 * integers.
 */
export function readJsonOnly(app: FastifyInstance, limits: BodyLimits): void {
  // Keys like __proto__ are refused.
  const parse = app.getDefaultJsonParser("error", "error");
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("application/json", (request, body, done) => {
    const encoding = request.headers["content-encoding"];
    if (encoding !== undefined && encoding !== "identity") return done(compressed(encoding));
    bodyBytes(body, limits.bodyLimitBytes, (bytes) => read(request, bytes, done), done);
  });
  const read = (request: FastifyRequest, bytes: Buffer, done: Done) => {
    const ascii = isAscii(bytes);
    if (!ascii && !isUtf8(bytes)) {
      done(new VarveError("INVALID_REQUEST", "Cannot read the request: its body is not valid UTF-8"));
      return;
    }
    const text = exactIntegers(bytes.toString(ascii ? "latin1" : "utf8"));
    const plain = plainJson(text);
    if (plain !== undefined) {
      done(tooLarge(plain, limits), plain);
      return;
    }
    void parse(request, text, (error: Error | null, value?: unknown) => {
      if (error === null) done(tooLarge(value, limits), value);
      else done(isJson(text) ? refusedKey() : notJson(text));
    });
  };
}

function tooLarge(value: unknown, limits: JsonLimits): Error | null {
  try {
    checkSizes(value, limits);
    return null;
  } catch (error) {
    return error as Error;
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function notJson(text: string): VarveError {
  const state = text.trim() === "" ? "its body is empty; send JSON" : "its body is not valid JSON";
  return new VarveError("INVALID_REQUEST", `Cannot read the request: ${state}`);
}

function compressed(encoding: string): Error {
  const name = JSON.stringify(encoding.slice(0, 64));
  return clientError(415, `its body is in content-encoding ${name}; send JSON as it is, without that header`);
}

/** Why JSON is refused that is JSON. */
function refusedKey(): VarveError {
  return new VarveError(
    "INVALID_REQUEST",
    'Cannot read the request: the keys "__proto__", and "constructor" with "prototype" in it, are refused wherever they are',
  );
}

/** The value of JSON that cannot hold a key like __proto__, however it is written; undefined where somebody has to look. */
function plainJson(text: string): unknown {
  if (text.includes("\\") || text.includes("__proto__") || text.includes("constructor")) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/**
 * The JSON text with integers as text that a number cannot hold but 64 bits can: clients in other languages send keys as
 * numbers, and a rounded key is somebody else's.
 */
export function exactIntegers(text: string): string {
  if (!/\d{16}/.test(text)) return text;
  let exact = "";
  let copied = 0;
  let at = 0;
  while (at < text.length) {
    const start = at;
    const code = text.charCodeAt(at);
    if (code === quote) {
      at = endOfString(text, at);
    } else if (isInNumber(code)) {
      while (at < text.length && isInNumber(text.charCodeAt(at))) at++;
      const literal = text.slice(start, at);
      if (/^-?[1-9]\d{15,18}$/.test(literal) && !Number.isSafeInteger(Number(literal))) {
        exact += `${text.slice(copied, start)}"${literal}"`;
        copied = at;
      }
    } else at++;
  }
  return exact + text.slice(copied);
}

const quote = 34;
const backslash = 92;

/** Digits, signs, points and exponents. */
function isInNumber(code: number): boolean {
  return (code >= 48 && code <= 57) || code === 43 || code === 45 || code === 46 || code === 69 || code === 101;
}

/** Behind the closing quote, or the end of the text where there is none. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let escapes = end;
    while (text.charCodeAt(escapes - 1) === backslash) escapes--;
    if ((end - escapes) % 2 === 0) return end + 1;
  }
  return text.length;
}
