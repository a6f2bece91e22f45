import { z } from 'zod';
import { SERVER_DEFAULTS } from './limits.js';

const whole = (min: number, max: number) =>
  z.number().int().min(min).max(max).describe(`a whole number from ${min} to ${max}`);
const flag = () => z.boolean().describe('true or false').default(false);

/** user:pass, several joined by commas. */
function credentials() {
  const rule = 'user:password, several joined by commas';
  const isRight = (text: string): boolean => text.split(',').every((one) => /^[^:]+:.+$/s.test(one));
  return z
    .string()
    .refine(isRight, { error: `must be ${rule}` })
    .describe(rule)
    .optional();
}

/** How a server is started, besides the model and the machine. */
export const serveSchema = z.strictObject({
  host: z.string().min(1).describe('an address or a name').default(SERVER_DEFAULTS.host),
  port: whole(0, 65535).default(SERVER_DEFAULTS.port),
  apiAuth: credentials(),
  allowHost: z.array(z.string().min(1)).describe('host names').default([]),
  allowUrlImages: flag(),
  keepModels: whole(1, 1000).default(SERVER_DEFAULTS.keepModels),
  grace: z.number().min(0).max(86_400).describe('a number of seconds from 0 to 86400').default(SERVER_DEFAULTS.grace),
  outputDir: z.string().min(1).describe('a folder').default(SERVER_DEFAULTS.outputDir),
  maxPixels: whole(256, 16384 * 16384).default(SERVER_DEFAULTS.maxPixels),
  maxSteps: whole(1, 1000).default(SERVER_DEFAULTS.maxSteps),
  maxImages: whole(1, 640_000).default(SERVER_DEFAULTS.maxImages),
  maxBodyMb: whole(1, 1024).default(SERVER_DEFAULTS.maxBodyMb),
  maxQueue: whole(1, 100_000).default(SERVER_DEFAULTS.maxQueue),
  fakeInference: flag(),
});
export type ServeOptions = z.output<typeof serveSchema>;
