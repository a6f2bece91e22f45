import { readFileSync, writeFileSync } from 'node:fs';

interface Entry {
  dtype: string;
  shape: number[];
  data_offsets: [number, number];
}

/** A safetensors file in memory, to be damaged or changed and written again. */
export class EditableSafetensors {
  metadata: Record<string, string>;
  readonly entries: Map<string, Entry>;
  readonly #bodies: Map<string, Buffer>;

  constructor(path: string) {
    const file = readFileSync(path);
    const headerBytes = Number(file.readBigUInt64LE(0));
    const { __metadata__: metadata = {}, ...entries } = JSON.parse(file.toString('utf8', 8, 8 + headerBytes)) as {
      __metadata__?: Record<string, string>;
    } & Record<string, Entry>;
    this.metadata = metadata;
    this.entries = new Map(Object.entries(entries as Record<string, Entry>));
    const body = file.subarray(8 + headerBytes);
    this.#bodies = new Map(
      [...this.entries].map(
        ([
          name,
          {
            data_offsets: [begin, end],
          },
        ]) => [name, Buffer.from(body.subarray(begin, end))],
      ),
    );
  }

  bytes(name: string): Buffer {
    const found = this.#bodies.get(name);
    if (found === undefined) throw new Error(`no tensor ${name}`);
    return found;
  }

  remove(name: string): void {
    this.bytes(name);
    this.entries.delete(name);
    this.#bodies.delete(name);
  }

  set(name: string, dtype: string, shape: number[], body: Buffer): void {
    this.entries.set(name, { dtype, shape, data_offsets: [0, 0] });
    this.#bodies.set(name, body);
  }

  /** Makes it an F32 tensor with these values. */
  setFloats(name: string, shape: number[], values: ArrayLike<number>): void {
    this.set(name, 'F32', shape, Buffer.from(Float32Array.from(values).buffer));
  }

  write(path: string): string {
    const header: Record<string, unknown> = { __metadata__: this.metadata };
    let offset = 0;
    for (const [name, entry] of this.entries) {
      const end = offset + this.bytes(name).length;
      header[name] = { ...entry, data_offsets: [offset, end] };
      offset = end;
    }
    const json = Buffer.from(JSON.stringify(header));
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(json.length));
    writeFileSync(path, Buffer.concat([length, json, ...[...this.entries.keys()].map((name) => this.bytes(name))]));
    return path;
  }
}
