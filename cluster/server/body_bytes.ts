/** Takes in the body of a request. */
import type { IncomingMessage } from "node:http";
import { bodyTooLarge } from "./errors_http.ts";

/**
 * Of how many times the limit a body is read to its end before it is refused. A client that is still sending does not look for an
 * answer: where the connection is closed on it, it learns that, and nothing of the limit.
 */
const patience = 8;

/**
 * Gives all bytes of a body, once: a body of one piece, as most are, is not copied, and listeners that will not be called again
 * stay. Fails when it is larger than `limit`, and when it does not come to its end.
 */
export function bodyBytes(
  body: IncomingMessage,
  limit: number,
  onBytes: (bytes: Buffer) => void,
  onError: (error: Error) => void,
): void {
  const pieces: Buffer[] = [];
  let size = 0;
  const onPiece = (piece: Buffer) => {
    size += piece.length;
    if (size <= limit) pieces.push(piece);
    else {
      pieces.length = 0;
      if (size > patience * limit) fail(bodyTooLarge(limit));
    }
  };
  const onEnd = () => {
    if (size > limit) onError(bodyTooLarge(limit));
    else onBytes(pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces, size));
  };
  const fail = (error: Error) => {
    body.off("data", onPiece).off("end", onEnd).off("error", onLost);
    onError(error);
  };
  const onLost = (error: Error) => fail(Object.assign(error, { statusCode: 400 }));
  const announced = body.headers["content-length"];
  if (announced !== undefined && Number(announced) > patience * limit) {
    onError(bodyTooLarge(limit));
    return;
  }
  body.on("data", onPiece).on("end", onEnd).on("error", onLost);
}
