import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { OptionStore } from '../context/options.js';
import type { ExtensionRegistry } from '../extensions/registry.js';
import { addFleetMetrics } from '../fleet/metrics.js';
import type { FleetStatus } from '../fleet/status.js';
import type { RemoteExecutor } from '../pipeline/execute.js';
import type { ModelProvider } from '../runtime/model-provider.js';
import { ProcessingRunner } from '../runtime/processing-runner.js';
import { ExecutionQueue } from '../runtime/queue.js';
import { answerOf, HttpError, InvalidRequest, sendError } from './errors.js';
import { addGuard } from './guard.js';
import { addHealth } from './health.js';
import { JobStore } from './job-store.js';
import { addJobs } from './jobs.js';
import { ServerMetrics } from './metrics.js';
import { addModelRoute } from './model-route.js';
import { addOpenApi } from './openapi.js';
import { addPage } from './page.js';
import { addExtras } from './sdapi/extras.js';
import { addImg2img } from './sdapi/img2img.js';
import { addLists } from './sdapi/lists.js';
import { addMemory } from './sdapi/memory.js';
import { addModels } from './sdapi/models.js';
import { WebuiOptions } from './sdapi/option-store.js';
import type { OptionValue } from './sdapi/option-table.js';
import { addOptions } from './sdapi/options.js';
import { addPngInfo } from './sdapi/png-info.js';
import { addProgress } from './sdapi/progress.js';
import { addScripts } from './sdapi/scripts.js';
import { addTxt2img } from './sdapi/txt2img.js';
import type { Models, Services } from './services.js';
import type { ServerSettings } from './settings.js';

export interface AppParts {
  readonly settings: ServerSettings;
  readonly provider: ModelProvider;
  readonly options: OptionStore;
  readonly models: Models;
  /** Who computes, where this process does not. */
  readonly fleet?: { readonly remote: RemoteExecutor; readonly status: () => Promise<FleetStatus> } | undefined;
  /** Whose hooks take part in every run. */
  readonly extensions?: ExtensionRegistry | undefined;
  /** Options of the webui that flags decide: the checkpoint. */
  readonly initialOptions?: Readonly<Record<string, OptionValue>> | undefined;
  /** Of fastify: pino's, or none. */
  readonly logger?: FastifyServerOptions['logger'];
}

export interface App {
  readonly http: FastifyInstance;
  readonly services: Services;
}

/** JSON and nothing else: a page elsewhere can send text and forms without asking, but not JSON. */
function addJsonParser(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(/^application\/(.+\+)?json(;|$)/i, { parseAs: 'string' }, (_, body, done) => {
    const text = String(body);
    if (text.trim() === '') return done(null, undefined);
    try {
      done(null, JSON.parse(text));
    } catch (error) {
      const msg = error instanceof Error ? error.message : String(error);
      done(new InvalidRequest([{ loc: ['body'], msg, type: 'value_error.jsondecode' }]));
    }
  });
}

function addErrors(app: FastifyInstance): void {
  app.setErrorHandler((error, request, reply) => {
    const { isDefect, status } = answerOf(error);
    if (isDefect) request.log.error({ err: error }, 'defect');
    else request.log.info({ status, reason: error instanceof Error ? error.message : String(error) }, 'refused');
    return sendError(reply, error);
  });
  app.setNotFoundHandler((_, reply) => sendError(reply, new HttpError(404, 'Not Found')));
}

/** The time that a request took, as the webui tells it, and for the metrics. */
function addTimes(app: FastifyInstance, metrics: ServerMetrics): void {
  app.addHook('onSend', async (_, reply) => {
    reply.header('x-process-time', (reply.elapsedTime / 1000).toFixed(4));
    reply.header('x-content-type-options', 'nosniff');
  });
  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? 'unknown';
    metrics.requestDone(request.method, route, reply.statusCode, reply.elapsedTime / 1000);
  });
}

/** The HTTP server, not listening yet. Everything that makes pictures goes through one ProcessingRunner. */
export async function createApp(parts: AppParts): Promise<App> {
  const { settings, provider, options, models } = parts;
  const http = Fastify({
    logger: parts.logger ?? false,
    bodyLimit: settings.limits.bodyBytes,
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 1000 },
    requestIdHeader: 'x-request-id',
    forceCloseConnections: 'idle',
  }).withTypeProvider<ZodTypeProvider>();
  const limit = settings.limits.queue;
  const { fleet } = parts;
  // With a fleet the turns are given there.
  const queue = new ExecutionQueue({ limit, concurrency: fleet === undefined ? 1 : limit });
  const metrics = new ServerMetrics(() => queue.size);
  if (fleet !== undefined) addFleetMetrics(metrics.registry, fleet.status);
  const services: Services = {
    settings,
    provider,
    models,
    queue,
    metrics,
    runner: new ProcessingRunner({ provider, options, extensions: parts.extensions, remote: fleet?.remote }),
    options: new WebuiOptions(options, parts.initialOptions),
    jobs: new JobStore(queue, (job) => metrics.jobEnded(job)),
    extensions: parts.extensions,
    log: http.log,
    isOpen: true,
  };
  // Bodies are read by readAs, which takes numbers as text; answers are plain data.
  http.setValidatorCompiler(() => (value) => ({ value }));
  http.setSerializerCompiler(() => (data) => JSON.stringify(data));
  addJsonParser(http);
  addErrors(http);
  addTimes(http, metrics);
  addGuard(http, settings);
  await addOpenApi(http, settings.credentials.length > 0);
  addTxt2img(http, services);
  addImg2img(http, services);
  addJobs(http, services);
  addProgress(http, services);
  addOptions(http, services);
  addModels(http, services);
  addModelRoute(http, services);
  addLists(http);
  addScripts(http, parts.extensions);
  addExtras(http, services);
  addPngInfo(http, services);
  addMemory(http, services);
  addHealth(http, services);
  await addPage(http);
  return { http, services };
}
