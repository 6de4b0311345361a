/** Reads request bodies. */
import { VarveError } from "varve";
import type { FastifyInstance } from "./fastify.ts";

/** Bodies are JSON in valid UTF-8 and nothing else. Replaces fastify's parsers: they read text/plain too, and put replacement characters where bytes are no text. */
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
    void parse(request, text, done);
  });
}
