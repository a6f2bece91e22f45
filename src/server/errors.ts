import type { FastifyReply } from 'fastify';
import { FailureError, UsageError } from '../request/errors.js';

/** One thing wrong with a request, as FastAPI tells it. */
export interface Detail {
  readonly loc: readonly (string | number)[];
  readonly msg: string;
  readonly type: string;
}

/** A body, query or path that does not fit: 422 with FastAPI's `{"detail": [...]}`. */
export class InvalidRequest extends Error {
  constructor(readonly details: readonly Detail[]) {
    super(details.map(({ loc, msg }) => `${loc.join('.')}: ${msg}`).join('; '));
    this.name = 'InvalidRequest';
  }
}

/** A field that is refused by name. */
export function refuseField(field: string, message: string): InvalidRequest {
  return new InvalidRequest([{ loc: ['body', field], msg: message, type: 'value_error' }]);
}

/** Any other refusal: a status with the webui's four keys. */
export class HttpError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly headers: Readonly<Record<string, string>> = {},
  ) {
    super(message);
    this.name = 'HTTPException';
  }
}

/** The body of an error that is no validation error. */
export interface ErrorBody {
  readonly error: string;
  readonly detail: string;
  readonly body: string;
  readonly errors: string;
}

/** What a failure's code means over HTTP; what is not here is the server's fault: 500. */
const STATUS_OF_CODE: Readonly<Record<string, number>> = {
  E_MODEL_NOT_FOUND: 404,
  E_IMAGE_FORMAT: 422,
  E_PROMPT: 422,
  E_STYLES: 422,
  E_MODEL_UNSUPPORTED: 422,
  E_QUEUE_FULL: 429,
  E_EXISTS: 409,
  E_CANCELLED: 409,
  E_CLOSED: 503,
};

/** Seconds after which a full queue may be asked again. */
const RETRY_SECONDS = 5;

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: ErrorBody | { readonly detail: readonly Detail[] };
}

function fourKeys(error: string, message: string, isHttp: boolean): ErrorBody {
  return { error, detail: isHttp ? message : '', body: '', errors: isHttp ? '' : message };
}

/** Fastify's own refusals: a body that is too large, a content type that is not JSON. */
function ownStatus(error: unknown): number | undefined {
  const status: unknown = error instanceof Error ? Reflect.get(error, 'statusCode') : undefined;
  return typeof status === 'number' && status >= 400 && status < 500 ? status : undefined;
}

/** Every error as an answer; `isDefect` where nobody expected it. */
export function answerOf(error: unknown): Answer & { readonly isDefect: boolean } {
  const answer = (status: number, body: Answer['body'], headers: Answer['headers'] = {}, isDefect = false) => ({
    status,
    body,
    headers,
    isDefect,
  });
  if (error instanceof InvalidRequest) return answer(422, { detail: error.details });
  if (error instanceof HttpError) return answer(error.status, fourKeys(error.name, error.message, true), error.headers);
  if (error instanceof UsageError) {
    const loc = error.field === undefined ? ['body'] : ['body', error.field];
    return answer(422, { detail: [{ loc, msg: error.message, type: 'value_error' }] });
  }
  if (error instanceof FailureError) {
    const status = STATUS_OF_CODE[error.code] ?? 500;
    const headers = status === 429 ? { 'retry-after': String(RETRY_SECONDS) } : {};
    return answer(status, fourKeys(error.code, error.message, status < 500), headers);
  }
  const status = ownStatus(error);
  const message = error instanceof Error ? error.message : String(error);
  if (status !== undefined) return answer(status, fourKeys('HTTPException', message, true));
  // A defect's message may hold anything of the machine: it goes to the log alone.
  return answer(500, fourKeys('InternalError', 'an internal error; the log says more', false), {}, true);
}

export function sendError(reply: FastifyReply, error: unknown): FastifyReply {
  const { status, headers, body } = answerOf(error);
  return reply.code(status).headers(headers).type('application/json').send(JSON.stringify(body));
}
