import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { transport, type TransportOptions } from "../../../sdk/client/transport.ts";

type Answer = { status: number; body?: unknown; headers?: Record<string, string> } | Error | "never";

/** A fetch that gives these answers in turn, and remembers what it was asked. */
function fetching(...answers: Answer[]) {
  const asked: { url: string; init: RequestInit }[] = [];
  const send = async (url: unknown, init?: RequestInit): Promise<Response> => {
    asked.push({ url: String(url), init: init! });
    const answer = answers[Math.min(asked.length, answers.length) - 1]!;
    if (answer instanceof Error) throw answer;
    if (answer === "never") {
      return await new Promise((_, reject) =>
        init!.signal!.addEventListener("abort", () => reject(init!.signal!.reason as Error), { once: true })
      );
    }
    const { status, body, headers = {} } = answer;
    return new Response(typeof body === "string" ? body : JSON.stringify(body), { status, headers });
  };
  const post = (options: Partial<TransportOptions> = {}) =>
    transport({ url: "http://x/", fetch: send as typeof fetch, ...options });
  return { asked, post };
}

const busy = { status: 503, body: { error: "Service Unavailable", code: "UNAVAILABLE", message: "busy", details: {} } };
const fine = { status: 200, body: { result: 1 } };

describe("transport()", () => {
  it("posts JSON with the key, and gives the answer", async () => {
    const { asked, post } = fetching(fine);
    expect(await post({ key: "k" })("/a", { b: 1 })).toEqual({ result: 1 });
    expect(asked[0]!.url).toBe("http://x/a");
    expect(asked[0]!.init).toMatchObject({
      method: "POST",
      body: '{"b":1}',
      headers: { authorization: "Bearer k", "content-type": "application/json" },
    });
  });

  it("tries again where that may help, as often as it is told", async () => {
    const { asked, post } = fetching(busy, new TypeError("fetch failed"), fine);
    expect(await post()("/a", {})).toEqual({ result: 1 });
    expect(asked).toHaveLength(3);
    const twice = fetching(busy);
    await expect(twice.post({ retries: 1 })("/a", {})).rejects.toMatchObject({ code: "UNAVAILABLE", message: "busy" });
    expect(twice.asked).toHaveLength(2);
  });

  it("tries again when an answer breaks off in the middle", async () => {
    let asked = 0;
    const server = createServer((_request, response) => {
      response.setHeader("content-type", "application/json");
      response.setHeader("content-length", 12);
      if (++asked > 1) return response.end('{"result":1}');
      response.write('{"resu');
      setImmediate(() => response.destroy());
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
    onTestFinished(() => void server.close());
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    expect(await transport({ url })("/a", {})).toEqual({ result: 1 });
    expect(asked).toBe(2);
    const { post } = fetching({ status: 200, body: "<html>a page</html>" });
    await expect(post({ retries: 0 })("/a", {})).rejects.toMatchObject({
      code: "UNAVAILABLE",
      message: expect.stringMatching(/^Cannot read the answer of http:\/\/x\/a: /),
    });
  });

  it("does not repeat a mistake", async () => {
    const body = { error: "Not Found", code: "NOT_FOUND", message: "no such service", details: { service: "x" } };
    const { asked, post } = fetching({ status: 404, body }, fine);
    await expect(post()("/a", {})).rejects.toMatchObject({ code: "NOT_FOUND", details: { service: "x" } });
    expect(asked).toHaveLength(1);
  });

  it("understands what something between answers", async () => {
    const { post } = fetching({ status: 502, body: "<html>bad gateway</html>" });
    await expect(post({ retries: 0 })("/a", {})).rejects.toThrow(/http:\/\/x\/a answers 502 <html>bad gateway/);
    const limited = fetching({ status: 429, body: "", headers: { "retry-after": "7" } });
    // Seven seconds are more than the call may take.
    await expect(limited.post()("/a", {})).rejects.toMatchObject({
      code: "RATE_LIMITED",
      details: { retryAfterSeconds: 7 },
    });
    expect(limited.asked).toHaveLength(1);
  });

  it("gives the server's words also where their code is of HTTP alone", async () => {
    const body = {
      error: "Payload Too Large",
      code: "TOO_LARGE",
      message: "larger than 10 bytes",
      details: { limit: 10 },
    };
    const { asked, post } = fetching({ status: 413, body, headers: { "x-request-id": "r1" } });
    await expect(post()("/a", {})).rejects.toMatchObject({
      code: "INVALID_REQUEST",
      message: "larger than 10 bytes",
      details: { limit: 10, requestId: "r1" },
    });
    expect(asked).toHaveLength(1);
  });

  it("gives up in time, and when it is told to", async () => {
    const { post } = fetching("never");
    await expect(post({ timeoutMs: 20 })("/a", {})).rejects.toMatchObject({ code: "TIMEOUT" });
    const abort = new AbortController();
    const call = post()("/a", {}, abort.signal);
    abort.abort(new Error("changed my mind"));
    await expect(call).rejects.toThrow("changed my mind");
  });

  it("asks a second time when the first answer is late, and takes the first that comes", async () => {
    const { asked, post } = fetching("never", fine);
    expect(await post({ hedgeAfterMs: 5 })("/a", {})).toEqual({ result: 1 });
    expect(asked).toHaveLength(2);
    expect(asked[0]!.init.signal!.aborted).toBe(true);
    const quick = fetching(fine);
    await quick.post({ hedgeAfterMs: 10_000 })("/a", {});
    expect(quick.asked).toHaveLength(1);
    const wrong = fetching({ status: 400, body: { code: "INVALID_REQUEST", message: "no" } });
    await expect(wrong.post({ hedgeAfterMs: 10_000 })("/a", {})).rejects.toThrow("no");
  });

  it("waits for the second answer when the first one that was late is a failure", async () => {
    const waiting: ((answer: Response) => void)[] = [];
    const send = () => new Promise<Response>((resolve) => waiting.push(resolve));
    const answer = transport({ url: "http://x/", fetch: send as typeof fetch, hedgeAfterMs: 1, retries: 0 })("/a", {});
    await expect.poll(() => waiting.length).toBe(2);
    const failure = new Response(JSON.stringify(busy.body), { status: busy.status });
    waiting[0]!(failure);
    await expect.poll(() => failure.bodyUsed).toBe(true);
    await new Promise(setImmediate);
    waiting[1]!(new Response(JSON.stringify(fine.body)));
    expect(await answer).toEqual({ result: 1 });
  });

  it("refuses what is no address", () => {
    expect(() => transport({ url: "localhost:6570" })).toThrow(/give the server's address/);
  });
});
