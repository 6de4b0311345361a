/** How errors look in the description of the API. */

/** The body of every error; shared by name. */
export const errorSchema = {
  $id: "Error",
  examples: [{
    error: "Not Found",
    code: "NOT_FOUND",
    message: 'Cannot read service "delay": services are delay_model',
    details: { service: "delay" },
  }],
  type: "object",
  required: ["error", "code", "message", "details"],
  additionalProperties: false,
  properties: {
    error: { type: "string", description: "The HTTP status in words." },
    code: { type: "string", description: "What kind of error it is, for programs." },
    message: { type: "string", description: "What cannot be done, why, and the way out." },
    details: { type: "object", description: "What the message names, for programs.", additionalProperties: true },
  },
};

const serverFailure = {
  error: "Service Unavailable",
  code: "UNAVAILABLE",
  message: "Cannot use Redis at redis://localhost:6379: connect ECONNREFUSED; start it, or correct the url",
  details: {},
};

/** For the answers of a route. */
export const errorAnswers = {
  "4xx": { description: "The request is wrong; `message` says how to mend it.", $ref: "Error#" },
  "5xx": {
    description: "The server cannot answer now; after 503 ask again when `Retry-After` says.",
    content: {
      "application/json": { schema: { $ref: "Error#" }, examples: { unavailable: { value: serverFailure } } },
    },
  },
};
