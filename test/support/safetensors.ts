import { readFileSync } from 'node:fs';

const TYPES = { F32: Float32Array, F64: Float64Array, I32: Int32Array } as const;
type Dtype = keyof typeof TYPES;

export interface Tensor {
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readonly data: Float32Array | Float64Array | Int32Array;
}

export interface SafetensorsFile {
  readonly tensors: ReadonlyMap<string, Tensor>;
  readonly metadata: Readonly<Record<string, string>>;
  /** Throws for a name that is not there, with those that are. */
  get(name: string): Tensor;
}

interface Entry {
  readonly dtype: string;
  readonly shape: number[];
  readonly data_offsets: [number, number];
}

function isDtype(name: string): name is Dtype {
  return name in TYPES;
}

/** Reads a fixture of F32, F64 and I32 tensors; any fault of the file is an error with its name. */
export function readSafetensors(path: string | URL): SafetensorsFile {
  const file = readFileSync(path);
  const headerBytes = Number(file.readBigUInt64LE(0));
  if (headerBytes > file.length - 8) throw new Error(`${path}: header of ${headerBytes} bytes`);
  const parsed = JSON.parse(file.toString('utf8', 8, 8 + headerBytes)) as Record<
    string,
    Entry | Record<string, string>
  >;
  const { __metadata__: metadata = {}, ...entries } = parsed;
  const body = file.subarray(8 + headerBytes);
  const tensors = new Map(
    Object.entries(entries).map(([name, entry]) => [name, readTensor(`${path}: ${name}`, entry as Entry, body)]),
  );
  return {
    tensors,
    metadata: metadata as Record<string, string>,
    get(name) {
      const tensor = tensors.get(name);
      if (tensor === undefined) throw new Error(`${path} has no ${name}, but ${[...tensors.keys()].join(', ')}`);
      return tensor;
    },
  };
}

function readTensor(name: string, entry: Entry, body: Buffer): Tensor {
  const { dtype, shape } = entry;
  const [begin, end] = entry.data_offsets;
  if (!isDtype(dtype)) throw new Error(`${name}: dtype ${dtype}`);
  const ArrayType = TYPES[dtype];
  const count = shape.reduce((product, side) => product * side, 1);
  if (end > body.length || end - begin !== count * ArrayType.BYTES_PER_ELEMENT) throw new Error(`${name}: offsets`);
  // A copy is aligned, whatever the header's length.
  const bytes = new Uint8Array(body.subarray(begin, end));
  return { dtype, shape, data: new ArrayType(bytes.buffer) };
}
