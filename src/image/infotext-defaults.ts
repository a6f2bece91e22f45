import type { ParsedInfotext } from './infotext.js';

/** What a picture that does not say so was made with. */
const DEFAULTS: readonly (readonly [key: string, value: string])[] = [
  ['Clip skip', '1'],
  ['Hires resize-1', '0'],
  ['Hires resize-2', '0'],
  ['Hires sampler', 'Use same sampler'],
  ['Hires schedule type', 'Use same scheduler'],
  ['Hires checkpoint', 'Use same checkpoint'],
  ['Hires prompt', ''],
  ['Hires negative prompt', ''],
  ['Mask mode', 'Inpaint masked'],
  ['Masked content', 'original'],
  ['Inpaint area', 'Whole picture'],
  ['Masked area padding', '32'],
  ['RNG', 'GPU'],
  ['Schedule type', 'Automatic'],
  ['Schedule max sigma', '0'],
  ['Schedule min sigma', '0'],
  ['Schedule rho', '0'],
  ['VAE Encoder', 'Full'],
  ['VAE Decoder', 'Full'],
  ['FP8 weight', 'Disable'],
  ['Refiner switch by sampling steps', 'False'],
];

type Version = readonly [major: number, minor: number, patch: number, commits: number];

/** "v1.10.1", "1.6.0", "v1.7.0-225-gabcdef0"; undefined for what is no webui's version, such as "sdgen 0.1.0". */
function parseVersion(text: string | undefined): Version | undefined {
  const found = /^v?(\d{1,6})\.(\d{1,6})(?:\.(\d{1,6}))?(?:-(\d{1,6})(?:-.*)?)?$/i.exec(text ?? '');
  if (found === null) return undefined;
  const [major = 0, minor = 0, patch = 0, commits = 0] = found.slice(1).map((part) => Number(part ?? 0));
  return [major, minor, patch, commits];
}

function isBefore(version: Version, limit: Version): boolean {
  const at = version.findIndex((part, i) => part !== limit[i]);
  return at >= 0 && (version[at] ?? 0) < (limit[at] ?? 0);
}

/** What older webuis did in another way. */
function quirks(version: Version, prompt: string, parameters: ReadonlyMap<string, string>): [string, string][] {
  const found: [string, string][] = [];
  if (isBefore(version, [1, 6, 0, 0])) {
    if (prompt.includes('[')) found.push(['Old prompt editing timelines', 'True']);
    if (['DDIM', 'PLMS'].includes(parameters.get('Sampler') ?? '')) found.push(['Pad conds v0', 'True']);
  }
  if (isBefore(version, [1, 7, 0, 225])) found.push(['Downcast alphas_cumprod', 'True']);
  if (isBefore(version, [1, 8, 0, 0]) && parameters.has('Refiner')) {
    found.push(['Refiner switch by sampling steps', 'True']);
  }
  return found;
}

/**
 * The sampler's name and the schedule that older webuis wrote into it: "DPM++ 2M Karras" is "DPM++ 2M" with "Karras".
 * @param schedules groups of names of one schedule, its label first
 * @returns the schedule's label; undefined where the name holds none
 */
export function splitSampler(
  text: string,
  schedules: readonly (readonly string[])[],
): { readonly sampler: string; readonly schedule: string | undefined } {
  for (const names of schedules) {
    const suffix = names.map((name) => ` ${name}`).find((end) => text.endsWith(end) && text.length > end.length);
    if (suffix !== undefined) return { sampler: text.slice(0, -suffix.length), schedule: names[0] };
  }
  return { sampler: text, schedule: undefined };
}

/**
 * All parameters that a picture's text stands for: those written, defaults for those left out, a schedule in a
 * sampler's old name as "Schedule type", and what the version that wrote it did in another way. Text without
 * parameters stays without.
 * @param schedules as for `splitSampler`
 */
export function completeInfotext(
  parsed: ParsedInfotext,
  schedules: readonly (readonly string[])[],
): ReadonlyMap<string, string> {
  const complete = new Map(parsed.parameters);
  if (complete.size === 0) return complete;
  const written = complete.get('Sampler');
  if (written !== undefined) {
    const { sampler, schedule } = splitSampler(written, schedules);
    complete.set('Sampler', sampler);
    if (schedule !== undefined) complete.set('Schedule type', schedule);
  }
  for (const [key, value] of DEFAULTS) if (!complete.has(key)) complete.set(key, value);
  const prompts = parsed.prompt + parsed.negativePrompt;
  if (!complete.has('Emphasis') && /[()[\]]/.test(prompts)) complete.set('Emphasis', 'Original');
  const version = parseVersion(complete.get('Version'));
  const old = version === undefined ? [] : quirks(version, parsed.prompt, complete);
  for (const [key, value] of old) complete.set(key, value);
  return complete;
}
