/** Requests made from an OpenAPI document: most as its schemas say, some not. */
import fc from 'fast-check';

/**
 * @typedef {{ type?: string, enum?: unknown[], examples?: unknown[], const?: unknown, anyOf?: Schema[], items?: Schema, minimum?: number,
 *   maximum?: number, exclusiveMinimum?: number, multipleOf?: number, maxLength?: number, minLength?: number,
 *   maxItems?: number, minItems?: number, properties?: Record<string, Schema>, required?: string[] }} Schema
 * @typedef {{ method: string, path: string, body?: unknown, isRaw?: boolean }} Request
 */

/** What bodies hold that no schema asks for. */
const JUNK = fc.oneof(
  fc.constantFrom(
    null,
    '',
    'x',
    -1,
    0,
    1.5,
    1e308,
    true,
    [],
    {},
    [null],
    { a: {} },
    '9'.repeat(400),
    '\u0000',
    '\ud800',
  ),
  fc.jsonValue({ maxDepth: 3 }),
  fc.string({ unit: 'binary', maxLength: 40 }),
);

/** Prompts that try the grammar. */
const TEXTS = fc.oneof(
  fc.constantFrom(
    'a fox',
    '',
    '(a:1.2) [b] [c:d:0.5] AND e',
    'x BREAK y',
    '((((',
    '[a|b|]',
    '# comment',
    '\\(',
    'é 狐 🦊',
  ),
  fc.string({ maxLength: 60 }),
);

/** Small whole numbers mostly: large ones are within the schemas and beyond every server's limits. */
function integers({ minimum = -9, maximum = 9e15, exclusiveMinimum, multipleOf = 1 }) {
  const least = exclusiveMinimum === undefined ? minimum : exclusiveMinimum + 1;
  const usual = Math.min(maximum, Math.max(least, 0) + 8 * multipleOf);
  const at = (/** @type {number} */ max) =>
    fc.integer({ min: Math.ceil(least / multipleOf), max: Math.floor(max / multipleOf) }).map((n) => n * multipleOf);
  return fc.oneof({ arbitrary: at(usual), weight: 9 }, { arbitrary: at(Math.min(maximum, 2 ** 31)), weight: 1 });
}

/** Numbers as they are, and now and then as text. */
const sometimesText = (/** @type {fc.Arbitrary<number>} */ numbers) =>
  fc.oneof({ weight: 9, arbitrary: numbers }, { weight: 1, arbitrary: numbers.map(String) });

/** @param {Schema} schema @returns {fc.Arbitrary<unknown>} */
export function valuesOf(schema) {
  const { examples, ...rest } = schema;
  if (examples !== undefined) {
    return fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...examples) }, { weight: 1, arbitrary: valuesOf(rest) });
  }
  if (schema.const !== undefined) return fc.constant(schema.const);
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
  if (schema.anyOf !== undefined) return fc.oneof(...schema.anyOf.map(valuesOf));
  switch (schema.type) {
    case 'integer':
      return sometimesText(integers(schema));
    case 'number': {
      const { minimum = -10, maximum = 100, exclusiveMinimum = minimum } = schema;
      return sometimesText(fc.double({ min: Math.max(minimum, exclusiveMinimum), max: maximum, noNaN: true }));
    }
    case 'string':
      return TEXTS.filter((text) => text.length >= (schema.minLength ?? 0)).map((text) =>
        text.slice(0, schema.maxLength),
      );
    case 'boolean':
      return fc.boolean();
    case 'null':
      return fc.constant(null);
    case 'array':
      return fc.array(valuesOf(schema.items ?? {}), { minLength: schema.minItems ?? 0, maxLength: 3 });
    case 'object':
      return objectsOf(schema);
    default:
      return fc.jsonValue({ maxDepth: 2 });
  }
}

/** Of a thousand. Fields are left out mostly, since a client sends few; each that is sent has a right value mostly. */
const SENT = 100;
const WRONG = 4;
/** What is optional by the schema, as in the webui, and 404 without it: such requests would reach nothing. */
const NEEDED = ['init_images'];

/** @param {Schema} schema @returns {fc.Arbitrary<unknown>} */
function objectsOf({ properties = {}, required = [] }) {
  const fields = Object.entries(properties).map(([name, schema]) => {
    const sent = required.includes(name) || NEEDED.includes(name) ? 1000 - WRONG : SENT;
    // By weights: numbers of fast-check are mostly small ones.
    const value = fc.oneof(
      { weight: sent, arbitrary: valuesOf(schema) },
      { weight: WRONG, arbitrary: JUNK },
      { weight: 1000 - sent - WRONG, arbitrary: fc.constant(undefined) },
    );
    return value.map((one) => [name, one]);
  });
  return fc.tuple(...fields).map((all) => Object.fromEntries(all.filter(([, value]) => value !== undefined)));
}

/** @param {string} path @param {{ name: string, in: string, schema: Schema }[]} parameters */
function addresses(path, parameters) {
  const given = parameters.map(({ name, schema, ...where }) =>
    fc
      .oneof(
        { weight: 9, arbitrary: valuesOf(schema) },
        { weight: 1, arbitrary: JUNK.map((junk) => JSON.stringify(junk)) },
      )
      .map((value) => ({
        name,
        in: where.in,
        text: encodeURIComponent(Buffer.from(String(value)).toString('utf8')) || '-',
      })),
  );
  return fc.tuple(...given).map((all) => {
    const named = all
      .filter((one) => one.in === 'path')
      .reduce((text, one) => text.replace(`{${one.name}}`, one.text), path);
    const query = all.filter((one) => one.in === 'query').map(({ name, text }) => `${name}=${text}`);
    return query.length === 0 ? named : `${named}?${query.join('&')}`;
  });
}

/** Bodies that are no JSON at all. */
const RAW = fc.oneof(fc.constantFrom('{', '[]]', '\u0000', '"', 'nul', '{"a":'), fc.string({ maxLength: 20 }));

/**
 * @param {{ paths: Record<string, Record<string, any>> }} document
 * @returns {fc.Arbitrary<Request>}
 */
export function requestsOf(document) {
  const routes = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => {
      const place = addresses(path, operation.parameters ?? []);
      const schema = operation.requestBody?.content?.['application/json']?.schema;
      const name = method.toUpperCase();
      if (schema === undefined) return { weight: 1, arbitrary: place.map((text) => ({ method: name, path: text })) };
      const right = fc.tuple(place, valuesOf(schema)).map(([text, body]) => ({ method: name, path: text, body }));
      const wrong = fc.tuple(place, JUNK).map(([text, body]) => ({ method: name, path: text, body }));
      const raw = fc.tuple(place, RAW).map(([text, body]) => ({ method: name, path: text, body, isRaw: true }));
      const arbitrary = fc.oneof(
        { weight: 40, arbitrary: right },
        { weight: 1, arbitrary: wrong },
        { weight: 1, arbitrary: raw },
      );
      return { weight: 6, arbitrary };
    }),
  );
  return fc.oneof(...routes);
}

/** @param {Record<string, [accepted: number, refused: number]>} routes @param {string} route @param {boolean} ok */
function count(routes, route, ok) {
  const [accepted, refused] = routes[route] ?? [0, 0];
  routes[route] = ok ? [accepted + 1, refused] : [accepted, refused + 1];
}

/**
 * Sends requests to a server and looks for answers that are its fault.
 * @param {string} url @param {{ requests: number, seed: number }} options
 * @throws with the smallest request that gets a 5xx
 */
export async function fuzzServer(url, { requests, seed }) {
  const document = await (await fetch(`${url}/openapi.json`)).json();
  const counts = {
    sent: 0,
    accepted: 0,
    /** @type {Record<string, number>} */ status: {},
    /** @type {Record<string, [number, number]>} */ routes: {},
  };
  const property = fc.asyncProperty(requestsOf(document), async ({ method, path, body, isRaw }) => {
    const payload = body === undefined ? {} : { body: isRaw ? String(body) : JSON.stringify(body) };
    const headers = body === undefined ? {} : { 'content-type': 'application/json' };
    const response = await fetch(`${url}${path}`, { method, headers, ...payload });
    const text = await response.text();
    counts.sent += 1;
    counts.status[response.status] = (counts.status[response.status] ?? 0) + 1;
    if (response.ok) counts.accepted += 1;
    if (body !== undefined) count(counts.routes, `${method} ${path}`, response.ok);
    if (response.status >= 500) throw new Error(`${method} ${path}: ${response.status} ${text.slice(0, 300)}`);
  });
  await fc.assert(property, { numRuns: requests, seed });
  return counts;
}
