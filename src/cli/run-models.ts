import { basename, resolve } from 'node:path';
import { EMBEDDED_MODEL } from '../checkpoints/embedded.js';
import { isReadable, listKnownCheckpoints } from '../checkpoints/find.js';
import { cacheFolder, shortHash } from '../checkpoints/hash.js';
import type { OpenModel } from '../context/runtime-context.js';
import type { Resolved } from '../native/types.js';
import { resolveDevice } from '../runtime/device.js';
import { formatBytes } from '../runtime/memory.js';
import { CachedModelProvider } from '../runtime/model-provider.js';
import { EXIT, warn } from './failure.js';
import type { Flags } from './flags.js';
import { Interrupt } from './interrupt.js';
import { type Io, writeAll } from './io.js';
import { formatTable } from './report.js';
import { readCommandOptions } from './settings.js';

const ABOUT_EMBEDDED = `
${basename(EMBEDDED_MODEL)} comes with sdgen and is what --model means when it is not given: a small model of our own that draws the things
it was trained on, for a first picture without a download. For any other picture put a Stable Diffusion 1.x or 2.x
checkpoint (.safetensors, or a folder of diffusers) into ./models and name it with --model.
`;

/** Names of tensors shown before the rest is only counted. */
const SHOWN_NAMES = 10;

/** @returns the exit code */
export async function listModels(flags: Flags, io: Io): Promise<number> {
  const { modelsDirs } = readCommandOptions(flags, io);
  const files = await listKnownCheckpoints(modelsDirs);
  if (flags.values.json === true) {
    const models = files.map(({ name, path, isFolder, kind, bytes, modified }) => ({
      name,
      path,
      isFolder,
      kind,
      isVae: kind === 'VAE',
      bytes,
      modified,
    }));
    await writeAll(io.stdout, `${JSON.stringify({ folders: modelsDirs, models }, null, 2)}\n`);
    return EXIT.ok;
  }
  if (files.length === 0) {
    await writeAll(io.stderr, `no models in ${modelsDirs.join(' or ')}\n`);
    return EXIT.ok;
  }
  const rows = files.map((file) => [
    file.name,
    file.kind,
    formatBytes(file.bytes),
    isReadable(file) ? file.path : `${file.path} (cannot be read: convert it to .safetensors)`,
  ]);
  await writeAll(io.stdout, `${formatTable([['name', 'kind', 'size', 'path'], ...rows], [2])}\n`);
  if (files.some(({ path }) => resolve(path) === resolve(EMBEDDED_MODEL))) await writeAll(io.stderr, ABOUT_EMBEDDED);
  return EXIT.ok;
}

const origin = <T>({ value, origin: from }: Resolved<T>): string => `${value} (${from})`;

function shortened(names: readonly string[]): string {
  const rest = names.length - SHOWN_NAMES;
  return `${names.slice(0, SHOWN_NAMES).join(', ')}${rest > 0 ? ` … and ${rest} more` : ''}`;
}

function describe(model: OpenModel): string {
  const { description: facts } = model;
  const { text, unet, vae, parameters } = facts;
  const million = (count: number): string => `${(count / 1e6).toFixed(2)} M parameters`;
  const channels = (base: number, multipliers: readonly number[]): string =>
    `${base} × ${multipliers.map((multiplier) => Number(multiplier.toFixed(3))).join(' ')}`;
  const renamed = Object.entries(facts.renamed).map(([from, to]) => `${from} → ${to}`);
  return formatTable([
    ['name', model.name],
    ['file', model.path],
    ['sha256', `${model.sha256} (model hash ${shortHash(model.sha256)})`],
    ['family', facts.family],
    ['size', `${formatBytes(facts.fileBytes)}, ${facts.tensorCount} tensors`],
    [
      'dtypes',
      Object.entries(facts.dtypes)
        .map(([name, count]) => `${name} ${count}`)
        .join(', '),
    ],
    ...(model.vae === undefined ? [] : [['other vae', `${model.vae.name} (${shortHash(model.vae.sha256)})`]]),
    [
      'prediction',
      facts.predictionType.value === 'probe'
        ? 'not stated: the network is asked when its weights are loaded (--prediction-type states it)'
        : origin(facts.predictionType),
    ],
    [
      'noise',
      `${facts.noise.alphasCumprod.length} steps (${facts.noise.origin}), zero terminal SNR ${origin(facts.noise.zeroTerminalSnr)}`,
    ],
    [
      'latents',
      `${facts.latentChannels} channels, 1/${facts.latentScale} of the side, scale factor ${origin(facts.scaleFactor)}`,
    ],
    [
      'text',
      `${million(parameters.text)}, width ${text.width}, ${text.layers} layers, heads ${origin(text.heads)}, ` +
        `${text.vocabulary} tokens, ${text.positions} positions`,
    ],
    [
      'unet',
      `${million(parameters.unet)}, channels ${channels(unet.modelChannels, unet.channelMultipliers)}, ` +
        `context ${unet.contextWidth}${unet.pooledWidth > 0 ? ` and pooled ${unet.pooledWidth}` : ''}, heads ${unet.heads.value.join(' ')} (${unet.heads.origin})`,
    ],
    [
      'vae',
      `${million(parameters.vae)}, channels ${channels(vae.channels, vae.channelMultipliers)}, ` +
        `${vae.hasEncoder ? 'with' : 'without'} its encoder`,
    ],
    ...Object.entries(facts.metadata).map(([key, value]) => ['metadata', `${key} = ${oneLine(value)}`]),
    ['unused', facts.unusedTensors.length === 0 ? 'none' : shortened(facts.unusedTensors)],
    ['renamed', renamed.length === 0 ? 'none' : shortened(renamed)],
  ]);
}

/** A stranger's text on one line, without characters that steer a terminal. */
function oneLine(text: string): string {
  const clean = text.replace(/\p{Cc}+/gu, ' ');
  return clean.length > 200 ? `${clean.slice(0, 200)}…` : clean;
}

/** @returns the exit code; throws FailureError for what is no checkpoint we can run */
export async function inspectModel(name: string, flags: Flags, io: Io): Promise<number> {
  const commandOptions = { ...readCommandOptions(flags, io), model: name };
  const provider = new CachedModelProvider({
    cacheFolder: cacheFolder(io.env),
    onWarning: (message) => warn(io, message),
    addon: io.addon,
  });
  const interrupt = new Interrupt(io);
  try {
    const device = resolveDevice(commandOptions, await provider.capabilities());
    const model = await provider.getModel({ ...commandOptions, device }, interrupt.signal);
    const { noise, ...facts } = model.description;
    // A thousand numbers that two facts tell.
    const { alphasCumprod: _, ...noiseFacts } = noise;
    const json = {
      name: model.name,
      sha256: model.sha256,
      vaeSha256: model.vae?.sha256 ?? null,
      ...facts,
      noise: noiseFacts,
    };
    const text = flags.values.json === true ? JSON.stringify(json, null, 2) : describe(model);
    await writeAll(io.stdout, `${text}\n`);
    return EXIT.ok;
  } catch (error) {
    if (interrupt.exitCode === undefined) throw error;
    await writeAll(io.stderr, 'interrupted\n');
    return interrupt.exitCode;
  } finally {
    interrupt.release();
    await provider.dispose();
  }
}
