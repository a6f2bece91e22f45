import { resolve } from 'node:path';
import { cacheFolder } from '../checkpoints/hash.js';
import { OptionStore } from '../context/options.js';
import type { CommandOptions } from '../context/runtime-context.js';
import type { ExtensionRegistry } from '../extensions/registry.js';
import { parseWith } from '../request/describe.js';
import { FailureError, UsageError } from '../request/errors.js';
import { type ServeOptions, serveSchema } from '../request/serve.js';
import { FakeModelProvider } from '../runtime/fake-provider.js';
import { CachedModelProvider } from '../runtime/model-provider.js';
import type { AppParts } from '../server/app.js';
import { Catalog } from '../server/catalog.js';
import { FAKE_MODELS } from '../server/fake-models.js';
import { type Listening, startServer } from '../server/serve.js';
import type { Credentials, ServerSettings } from '../server/settings.js';
import { readExtensions } from './extensions.js';
import { EXIT, warn } from './failure.js';
import { type Flags, pick } from './flags.js';
import { type Io, writeAll } from './io.js';
import { readCommandOptions } from './settings.js';

/** Flags that `cmd-flags` does not show. */
const SECRET = new Set(['apiAuth', 'debug']);

function readCredentials(text: string | undefined): Credentials[] {
  return (text?.split(',') ?? []).map((one) => {
    const colon = one.indexOf(':');
    return { user: one.slice(0, colon), password: one.slice(colon + 1) };
  });
}

/** `cmd-flags` calls flags as the webui's Python does: max_pixels. */
function shownFlags(options: ServeOptions, commandOptions: CommandOptions): Record<string, unknown> {
  const { model, vae, modelsDirs, device, precision, threads } = commandOptions;
  const all = { ...options, model: model ?? null, vae: vae ?? null, modelsDirs, device, precision, threads };
  const underscored = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  return Object.fromEntries(
    Object.entries(all).flatMap(([name, value]) => (SECRET.has(name) ? [] : [[underscored(name), value] as const])),
  );
}

function readSettings(options: ServeOptions, commandOptions: CommandOptions, io: Io): ServerSettings {
  return {
    commandOptions,
    limits: {
      bodyBytes: options.maxBodyMb * 2 ** 20,
      pixels: options.maxPixels,
      steps: options.maxSteps,
      images: options.maxImages,
      queue: options.maxQueue,
    },
    outputFolder: resolve(io.cwd, options.outputDir),
    credentials: readCredentials(options.apiAuth),
    allowedHosts: options.allowHost.map((name) => name.toLowerCase()),
    allowUrlImages: options.allowUrlImages,
    flags: shownFlags(options, commandOptions),
    fakeInference: options.fakeInference,
  };
}

function readParts(options: ServeOptions, commandOptions: CommandOptions, quiet: boolean, io: Io): AppParts {
  const cache = cacheFolder(io.env);
  const { keepModels, fakeInference } = options;
  return {
    settings: readSettings(options, commandOptions, io),
    provider: fakeInference
      ? new FakeModelProvider()
      : new CachedModelProvider({
          cacheFolder: cache,
          keepModels,
          onWarning: (message) => warn(io, message),
          addon: io.addon,
        }),
    options: new OptionStore(),
    models: fakeInference ? FAKE_MODELS : new Catalog(commandOptions.modelsDirs, cache),
    logger: { level: quiet ? 'warn' : 'info', stream: io.stderr },
  };
}

async function listen(parts: AppParts, { host, port }: ServeOptions): Promise<Listening> {
  try {
    return await startServer(parts, host, port);
  } catch (error) {
    const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined;
    if (code === 'EADDRINUSE') throw new FailureError('E_IO', `port ${port} of ${host} is in use: give another --port`);
    if (code === 'EACCES')
      throw new FailureError('E_IO', `port ${port} may not be taken: give one above 1023 by --port`);
    if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') {
      throw new UsageError(`--host ${host} is no address of this machine`, 'host');
    }
    throw error;
  }
}

/** The fleet that computes for the server; undefined where it computes itself. */
async function fleetOf(flags: Flags, io: Io, extensions: ExtensionRegistry, { fakeInference }: ServeOptions) {
  const { queue, queueCa, store, audit } = flags.values;
  if ([queue, queueCa, store, audit].every((value) => value === undefined)) return undefined;
  if (fakeInference) throw new UsageError('--fake-inference computes nothing: leave out --queue', 'queue');
  const [{ useFleet }, { readFleet }] = await Promise.all([import('./use-fleet.js'), import('../fleet/status.js')]);
  const fleet = await useFleet(flags, io, extensions, true);
  return fleet && { ...fleet, status: () => readFleet(fleet.access.redis) };
}

/** Serves until SIGINT or SIGTERM. @returns the exit code; throws UsageError and FailureError */
export async function runServe(flags: Flags, io: Io): Promise<number> {
  const { values } = flags;
  const options = parseWith(serveSchema, pick(values, Object.keys(serveSchema.shape)), flags.nameOf);
  const commandOptions = readCommandOptions(flags, io);
  const isOpenToAll = !['127.0.0.1', '::1', 'localhost'].includes(options.host) && options.apiAuth === undefined;
  const extensions = await readExtensions('serve', flags, io);
  const parts = readParts(options, commandOptions, values.quiet === true, io);
  const fleet = await fleetOf(flags, io, extensions, options);
  const server = await listen({ ...parts, extensions, fleet }, options).catch(async (error: unknown) => {
    await fleet?.close();
    throw error;
  });
  if (isOpenToAll) warn(io, `everybody who reaches ${server.url} may use it: --api-auth user:password says who may`);
  if (options.fakeInference) warn(io, '--fake-inference: the answers hold plain colours, not pictures of a model');
  let onSignal: () => void = () => undefined;
  const ended = new Promise<void>((done, failed) => {
    onSignal = () => {
      server.close(options.grace).then(done, failed);
    };
  });
  io.signals.on('SIGINT', onSignal);
  io.signals.on('SIGTERM', onSignal);
  try {
    await writeAll(
      io.stdout,
      values.json === true
        ? `${JSON.stringify({ url: server.url })}\n`
        : `sdgen listens at ${server.url} (${server.url}/docs)\n`,
    );
    await ended;
  } finally {
    io.signals.off('SIGINT', onSignal);
    io.signals.off('SIGTERM', onSignal);
    await fleet?.close();
  }
  return EXIT.ok;
}
