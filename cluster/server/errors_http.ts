/** How errors leave the server: `{ error, code, message, details }`, never a stack. */
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import { VarveError } from "varve";

/** Of bodies that are made as text: nothing else is left to be written. */
export const jsonType = "application/json; charset=utf-8";

export interface ErrorBody {
  readonly error: string;
  readonly code: string;
  readonly message: string;
  readonly details: Readonly<Record<string, unknown>>;
}

/** What the framework says of requests, in words that name the way out. */
const frameworkWords: Readonly<Record<string, string>> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE:
    'Cannot read the request: its body is no JSON by its content-type; send JSON with "content-type: application/json"',
  FST_ERR_BAD_URL: "Cannot read the request: its path is wrongly encoded; write a percent sign as %25",
};

/** What is wrong with a request that no {@link VarveError} stands for. */
export function clientError(statusCode: number, why: string, details: ErrorBody["details"] = {}): Error {
  return Object.assign(new Error(`Cannot read the request: ${why}`), { statusCode, details });
}

/** A body beyond the limit. */
export function bodyTooLarge(limit: number): Error {
  const variable = "VARVE_BODY_LIMIT_BYTES";
  const why =
    `its body is larger than ${limit} bytes, the limit; send less at a time, or let the server's ${variable} be larger`;
  return clientError(413, why, { limit, variable });
}

/** The status and body for anything thrown while a request was answered. */
export function errorAnswer(error: unknown): { readonly status: number; readonly body: ErrorBody } {
  if (error instanceof VarveError) return answer(error.status, error.code, error.message, error.details);
  const { statusCode, code, validation, message } = error as {
    statusCode?: number;
    code?: string;
    validation?: readonly { instancePath: string; message?: string; params?: Readonly<Record<string, unknown>> }[];
    message?: string;
  };
  if (validation) {
    const issues = validation.map((item) => ({
      path: item.instancePath,
      message: `${item.message ?? "is wrong"}${extra(item.params)}`,
    }));
    return answer(
      400,
      "INVALID_REQUEST",
      `Cannot read the request: ${issues.map((issue) => `${issue.path || "body"} ${issue.message}`).join("; ")}`,
      {
        issues,
      },
    );
  }
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    const text = frameworkWords[code ?? ""] ?? message ?? "";
    return answer(
      statusCode,
      clientCode(statusCode),
      text,
      (error as { details?: ErrorBody["details"] }).details ?? {},
    );
  }
  if (statusCode === 503) return answer(503, "UNAVAILABLE", message ?? "The server is busy", {});
  return answer(500, "INTERNAL", "The server failed to answer; its log has the reason under this request's id", {});
}

function answer(status: number, code: string, message: string, details: Readonly<Record<string, unknown>>) {
  return { status, body: { error: statusText(status), code, message, details } };
}

function extra(params: Readonly<Record<string, unknown>> | undefined): string {
  const name = params?.["additionalProperty"];
  return name === undefined ? "" : `: ${JSON.stringify(name)}`;
}

function clientCode(status: number): string {
  return status === 404
    ? "NOT_FOUND"
    : status === 408
    ? "TIMEOUT"
    : status === 413 || status === 431
    ? "TOO_LARGE"
    : status === 415
    ? "UNSUPPORTED_MEDIA_TYPE"
    : "INVALID_REQUEST";
}

function statusText(status: number): string {
  return STATUS_CODES[status] ?? (status === 499 ? "Client Closed Request" : "Unknown Status");
}

/** Answers what is not even HTTP, on the bare socket. */
export function answerBadHttp(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === "ECONNRESET" || socket.destroyed) return;
  const status = error.code === "HPE_HEADER_OVERFLOW" ? 431 : error.code === "ERR_HTTP_REQUEST_TIMEOUT" ? 408 : 400;
  const why = status === 431 ? "its headers are too large" : status === 408 ? "it came too slowly" : "it is not HTTP";
  const { text, length } = refusal(status, why);
  const head = `HTTP/1.1 ${status} ${statusText(status)}\r\ncontent-type: ${jsonType}\r\n`;
  if (socket.writable) socket.write(`${head}content-length: ${length}\r\nconnection: close\r\n\r\n${text}`);
  socket.destroySoon();
}

/** Answers a client that waits for what HTTP has no word for, in Node's place: that would say nothing. */
export function answerExpectation({ headers }: IncomingMessage, response: ServerResponse): void {
  const wanted = JSON.stringify(headers.expect?.slice(0, 64) ?? "");
  const { text, length } = refusal(417, `it expects ${wanted}, and the server knows "100-continue" alone`);
  response.writeHead(417, { "content-type": jsonType, "content-length": length, connection: "close" }).end(text);
}

function refusal(status: number, why: string): { readonly text: string; readonly length: number } {
  const text = JSON.stringify(answer(status, clientCode(status), `Cannot read the request: ${why}`, {}).body);
  return { text, length: Buffer.byteLength(text) };
}
