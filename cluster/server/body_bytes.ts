/** Takes in the body of a request. */
import type { IncomingMessage } from "node:http";
import { errorCodes } from "./fastify.ts";

/**
 * Gives all bytes of a body, once: a body of one piece, as most are, is not copied, and listeners that will not be called again
 * stay. Fails when it is larger than `limit`, which may be known before it comes, and when it does not come to its end.
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
    else fail(new errorCodes.FST_ERR_CTP_BODY_TOO_LARGE());
  };
  const onEnd = () => onBytes(pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces, size));
  const fail = (error: Error) => {
    body.off("data", onPiece).off("end", onEnd).off("error", onLost);
    onError(error);
  };
  const onLost = (error: Error) => fail(Object.assign(error, { statusCode: 400 }));
  const announced = body.headers["content-length"];
  if (announced !== undefined && Number(announced) > limit) {
    onError(new errorCodes.FST_ERR_CTP_BODY_TOO_LARGE());
    return;
  }
  body.on("data", onPiece).on("end", onEnd).on("error", onLost);
}
