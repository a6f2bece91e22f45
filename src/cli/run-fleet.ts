import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Registry as Metrics } from 'prom-client';
import { addFleetMetrics } from '../fleet/metrics.js';
import { Registry } from '../fleet/registry.js';
import { type FleetStatus, readFleet } from '../fleet/status.js';
import { FailureError, UsageError } from '../request/errors.js';
import { EXIT } from './failure.js';
import type { Flags } from './flags.js';
import { openFleet, readQueueOptions } from './fleet-access.js';
import { fleetText } from './fleet-report.js';
import { type Io, writeAll } from './io.js';

function metricsOf(read: () => Promise<FleetStatus>): Metrics {
  const metrics = new Metrics();
  addFleetMetrics(metrics, read);
  return metrics;
}

/** Answers /metrics until SIGINT or SIGTERM. */
async function serveMetrics(metrics: Metrics, port: number, io: Io): Promise<void> {
  const server = createServer((request, response) => {
    if (request.method !== 'GET' || request.url !== '/metrics') {
      response.writeHead(404).end();
      return;
    }
    metrics.metrics().then(
      (text) => response.writeHead(200, { 'content-type': metrics.contentType }).end(text),
      (error: unknown) => response.writeHead(503).end(`${error instanceof Error ? error.message : error}\n`),
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => reject(new FailureError('E_IO', `port ${port} cannot be had`, { cause })));
    server.listen(port, '127.0.0.1', resolve);
  });
  await writeAll(io.stdout, `http://127.0.0.1:${(server.address() as AddressInfo).port}/metrics\n`);
  await new Promise<void>((resolve) => {
    io.signals.on('SIGINT', resolve);
    io.signals.on('SIGTERM', resolve);
  });
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}

function readPort(value: unknown): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 65535) return value;
  throw new UsageError('--metrics-port must be a whole number from 0 to 65535', 'metricsPort');
}

/** @returns the exit code; throws UsageError and FailureError */
export async function runFleet(flags: Flags, io: Io): Promise<number> {
  const { json, metrics, metricsPort, reinstate } = flags.values;
  const options = readQueueOptions(flags);
  const { queue } = options;
  if (queue === undefined) throw new UsageError('--queue is missing: redis://host:port', 'queue');
  const port = readPort(metricsPort);
  const { redis } = await openFleet({ ...options, queue }, io);
  const read = (): Promise<FleetStatus> => readFleet(redis);
  try {
    if (typeof reinstate === 'string') {
      if (await new Registry(redis).reinstate(reinstate)) return EXIT.ok;
      throw new FailureError('E_QUEUE', `no worker ${reinstate} is set aside`);
    }
    if (port !== undefined) await serveMetrics(metricsOf(read), port, io);
    else if (metrics === true) await writeAll(io.stdout, await metricsOf(read).metrics());
    else {
      const status = await read();
      await writeAll(io.stdout, json === true ? `${JSON.stringify(status, null, 2)}\n` : fleetText(status));
    }
    return EXIT.ok;
  } finally {
    redis.disconnect();
  }
}
