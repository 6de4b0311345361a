/** Bodies are JSON in valid UTF-8 and nothing else. */
import { VarveError } from "varve";
import type { FastifyInstance } from "./fastify.ts";

/**
 * Replaces fastify's parsers: they read text/plain too, put replacement characters where bytes are no text, and round large
 * integers.
 */
export function readJsonOnly(app: FastifyInstance): void {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  // Keys like __proto__ are refused.
  const parse = app.getDefaultJsonParser("error", "error");
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("application/json", { parseAs: "buffer" }, (request, body, done) => {
    let text: string;
    try {
      text = decoder.decode(body as Buffer);
    } catch {
      done(new VarveError("INVALID_REQUEST", "Cannot read the request: its body is not valid UTF-8"));
      return;
    }
    void parse(request, exactIntegers(text), done);
  });
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
