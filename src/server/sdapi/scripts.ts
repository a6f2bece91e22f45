import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { EXTENSION_API_VERSION } from '../../extensions/hooks.js';
import type { ExtensionRegistry } from '../../extensions/registry.js';
import { HttpError, refuseField } from '../errors.js';

/** Titles of the webui's own scripts that are always on: named by many clients, and off unless they have arguments. */
const ALWAYS_ON = ['Sampler', 'Seed', 'Refiner', 'Comments', 'Extra options', 'Hypertile', 'Soft Inpainting'] as const;
/** Extensions that clients name even where they want nothing of them. */
const KNOWN_EXTENSIONS = [
  'ControlNet',
  'ADetailer',
  'Dynamic Thresholding (CFG Scale Fix)',
  'Tiled Diffusion',
  'Tiled VAE',
];
const SELECTABLE = [
  'Prompt matrix',
  'Prompts from file or textbox',
  'X/Y/Z plot',
  'Custom code',
  'img2img alternative test',
  'Loopback',
  'Outpainting mk2',
  "Poor man's outpainting",
  'SD upscale',
];

const isIn = (titles: readonly string[], title: string): boolean =>
  titles.some((known) => known.toLowerCase() === title.toLowerCase());

/** Whether an argument asks for nothing: a switch that is off, a unit that is not enabled, an empty choice. */
function isOff(argument: unknown): boolean {
  if (typeof argument !== 'object' || argument === null) {
    return argument === false || argument === null || argument === '' || argument === 'None';
  }
  return ['enabled', 'ad_model', 'Soft inpainting'].some(
    (key) => Object.hasOwn(argument, key) && isOff(Reflect.get(argument, key)),
  );
}

/** Whether an entry of `alwayson_scripts` changes nothing. */
function asksForNothing(entry: unknown): boolean {
  if (typeof entry !== 'object' || entry === null || !Object.hasOwn(entry, 'args')) return true;
  const args: unknown = Reflect.get(entry, 'args');
  if (!Array.isArray(args) || args.length === 0) return true;
  // The first switch of a script turns all of it off.
  return args[0] === false || args.every(isOff);
}

/**
 * Scripts are not built: those that are named and ask for nothing are let through, any other is refused by name.
 * @throws HttpError 422 as the webui, InvalidRequest
 */
export function refuseScripts(body: {
  readonly script_name: string | null;
  readonly alwayson_scripts: Readonly<Record<string, unknown>>;
}): void {
  const { script_name: selected, alwayson_scripts: always } = body;
  if (selected && selected.toLowerCase() !== 'none')
    throw new HttpError(422, `Script '${selected.slice(0, 100)}' not found`);
  for (const [title, entry] of Object.entries(always)) {
    if (isIn(SELECTABLE, title)) {
      throw new HttpError(422, 'Cannot have a selectable script in the always on scripts params');
    }
    if (!isIn(ALWAYS_ON, title) && !isIn(KNOWN_EXTENSIONS, title)) {
      throw new HttpError(422, `Script '${title.slice(0, 100)}' not found`);
    }
    if (!asksForNothing(entry)) {
      throw refuseField('alwayson_scripts', `the script ${title} is not built: send it without arguments`);
    }
  }
}

const titles = ALWAYS_ON.map((title) => title.toLowerCase());
const scriptInfo = z.object({
  name: z.string(),
  is_alwayson: z.boolean(),
  is_img2img: z.boolean(),
  args: z.array(z.record(z.string(), z.unknown())),
});

/** The webui's fields of an extension, which is a git repository there. */
const extensionInfo = z.object({
  name: z.string(),
  remote: z.string(),
  branch: z.string(),
  commit_hash: z.string(),
  version: z.string(),
  commit_date: z.number(),
  enabled: z.boolean(),
});

function describeExtension(name: string): z.output<typeof extensionInfo> {
  const version = String(EXTENSION_API_VERSION);
  return { name, remote: '', branch: '', commit_hash: '', version, commit_date: 0, enabled: true };
}

/** GET scripts, script-info, extensions. */
export function addScripts(app: FastifyInstance, extensions: ExtensionRegistry | undefined): void {
  const names = z.array(z.string());
  app.get(
    '/sdapi/v1/scripts',
    { schema: { response: { 200: z.object({ txt2img: names, img2img: names }) } } },
    async () => ({
      txt2img: titles.filter((title) => title !== 'soft inpainting'),
      img2img: titles,
    }),
  );
  app.get('/sdapi/v1/script-info', { schema: { response: { 200: z.array(scriptInfo) } } }, async () =>
    [false, true].flatMap((isImg2img) =>
      titles
        .filter((title) => isImg2img || title !== 'soft inpainting')
        .map((name) => ({ name, is_alwayson: true, is_img2img: isImg2img, args: [] })),
    ),
  );
  app.get('/sdapi/v1/extensions', { schema: { response: { 200: z.array(extensionInfo) } } }, async () =>
    (extensions?.names ?? []).map(describeExtension),
  );
}
