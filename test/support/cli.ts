import { EventEmitter } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { main } from '../../src/cli/main.js';
import type { NativeAddon } from '../../src/native/types.js';

class Buffered extends Writable {
  readonly chunks: Buffer[] = [];
  columns = 100;

  constructor(readonly isTTY: boolean) {
    super();
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.chunks.push(Buffer.from(chunk));
    done();
  }

  get bytes(): Buffer {
    return Buffer.concat(this.chunks);
  }
}

export interface CliOutcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  readonly outBytes: Buffer;
}

export interface CliOptions {
  readonly env?: Record<string, string>;
  readonly addon?: NativeAddon | undefined;
  readonly stdoutIsTTY?: boolean;
  readonly stderrIsTTY?: boolean;
  readonly signals?: EventEmitter;
}

/** A folder of its own to run the command line in, in this process. */
export class CliSandbox {
  private constructor(readonly folder: string) {}

  /** @param models files put into ./models, by name */
  static async create(models: Readonly<Record<string, string | Uint8Array>> = {}): Promise<CliSandbox> {
    const folder = await mkdtemp(join(tmpdir(), 'sdgen-cli-'));
    await mkdir(join(folder, 'models'));
    for (const [name, content] of Object.entries(models)) await writeFile(join(folder, 'models', name), content);
    return new CliSandbox(folder);
  }

  path(...parts: string[]): string {
    return join(this.folder, ...parts);
  }

  async run(argv: readonly string[], options: CliOptions = {}): Promise<CliOutcome> {
    const stdout = new Buffered(options.stdoutIsTTY ?? false);
    const stderr = new Buffered(options.stderrIsTTY ?? false);
    const { addon } = options;
    const code = await main(argv, {
      stdout,
      stderr,
      env: { HOME: this.path('home'), ...options.env },
      cwd: this.folder,
      signals: options.signals ?? new EventEmitter(),
      ...(addon === undefined ? {} : { addon: async () => addon }),
    });
    return { code, out: stdout.bytes.toString(), err: stderr.bytes.toString(), outBytes: stdout.bytes };
  }

  remove(): Promise<void> {
    return rm(this.folder, { recursive: true, force: true });
  }
}
