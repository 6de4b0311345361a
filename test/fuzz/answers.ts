/** What an answer must be, whatever was asked: the description's word for it, and never a failure inside. */
import { Ajv2020 } from "ajv/dist/2020.js";
import type { ValidateFunction } from "ajv/dist/2020.js";
import type { FuzzRequest, OpenApi } from "./requests.ts";

/** One answer. */
export interface FuzzAnswer {
  readonly status: number;
  readonly type: string;
  readonly text: string;
}

/** Compares answers with the description of the API. */
export class AnswerJudge {
  readonly #api: OpenApi;
  readonly #ajv = new Ajv2020({ strict: false, validateFormats: false });
  readonly #compiled = new Map<string, ValidateFunction>();

  constructor(api: OpenApi) {
    this.#api = api;
    this.#ajv.addSchema(api, "api");
  }

  /** Why the answer is wrong; undefined when it is right. */
  problem(request: FuzzRequest, answer: FuzzAnswer): string | undefined {
    const { status, type, text } = answer;
    if (status >= 500 && !isExpected(request, status)) return `status ${status}`;
    if (request.method === "HEAD") return text === "" ? undefined : "HEAD has a body";
    if (!type.startsWith("application/json")) return `content type ${JSON.stringify(type)}`;
    let body: unknown;
    try {
      body = JSON.parse(text);
    } catch {
      return "the body is no JSON";
    }
    const validate = this.#validator(request, status);
    if (validate === undefined) return `status ${status} is not described`;
    return validate(body) ? undefined : `the body is not as described: ${this.#ajv.errorsText(validate.errors)}`;
  }

  #validator({ operation, method }: FuzzRequest, status: number): ValidateFunction | undefined {
    const [verb, path] = operation.split(" ") as [string, string];
    const responses = this.#api.paths[path]![verb]!.responses;
    const described = method.toLowerCase() === verb
      ? [String(status), `${String(status)[0]}XX`].find((code) => code in responses)
      : undefined;
    // A path or method that there is not is answered as an error, whatever the operation.
    const ref = described === undefined
      ? status >= 400 ? "#/components/schemas/Error" : undefined
      : `#/paths/${escape(path)}/${verb}/responses/${described}/content/application~1json/schema`;
    if (ref === undefined) return undefined;
    let validate = this.#compiled.get(ref);
    if (!validate) this.#compiled.set(ref, validate = this.#ajv.compile({ $ref: `api${ref}` }));
    return validate;
  }
}

function escape(path: string): string {
  return encodeURIComponent(path.replaceAll("~", "~0").replaceAll("/", "~1"));
}

/** There is no stream to push to; and whoever gives a server a few milliseconds may get no answer. */
function isExpected({ operation, body }: FuzzRequest, status: number): boolean {
  if (status === 504) return /latency_?budget_?ms/i.test(new TextDecoder().decode(body));
  return status === 501 && operation === "post /push";
}
